/** What the reader is looking at. Everything that a deep link can hold lives here. */
import { withIsolatedNames } from "./bidi";
import { open } from "./blocks";
import type { Shown } from "./cards.svelte";
import type { Example, Walkthrough } from "./data";
import { forward } from "./maths/forward";
import { seenFrom } from "./classTokens";
import { meanOf } from "./maths/basic";
import { loudestHead, mostNeeded, risesMost } from "./maths/findings";
import { address, type Source } from "./maths/origin";
import { toySource } from "./maths/toy";
import { tracedSource } from "./maths/traced";

export const STEPS = 10;

class View {
  document = $state.raw<Walkthrough | null>(null);
  models = $state.raw<string[]>([]); // those that a served page may show, the one it was started with first
  opening = $state.raw<{ name: string; cancel: () => void } | null>(null); // the one that is being loaded
  problems = $state.raw<string[]>([]);
  lost = $state(""); // what the address names and is not here, in a sentence, until something is chosen
  under = $state<number | null>(null); // the layer whose map or ribbon the pointer is over
  picked = $state(false); // the reader chose the token, it is not the one that a page opens on
  guesses = $state.raw<ReadonlyMap<string, number>>(new Map()); // by input: which token its reader holds to be the dearest
  added = $state.raw<Example[]>([]); // the reader's own inputs, after the document's
  working = $state.raw<ReadonlySet<string>>(new Set()); // inputs whose experiments the server is still running
  step = $state(1);
  which = $state(0); // example
  chosen = $state<number | null>(null); // which class token, where there are several; null: the example's first
  layer = $state(0);
  head = $state<number | null>(null); // null: mean over heads
  film = $state<number | null>(null); // between layers, while the film runs or is dragged: 2.5 is half-way from layer 2 to 3; from -1, before layer 0
  playing = $state(false);
  hovered = $state<number | null>(null); // the token under the pointer
  lit = $state.raw<ReadonlySet<number>>(new Set()); // tokens that a mark of a picture stands for
  card = $state.raw<Shown | null>(null); // what is said of the mark under the pointer
  token = $state(0);
  dimension = $state(0);
  answer = $state(0); // which of the answers shown is looked at more closely
  trail = $state<string[]>([]); // addresses clicked through in the arithmetic, newest last
  looking = $state(false); // what the step is about is outlined on the stage
  notes = $state(false); // a teacher's words
  tables = $state(false);
  heat = $state(true);
  truth = $state(false);
  back = $state(false); // who reads the class token, instead of what it reads
  ignored = $state(false); // hatch the half that is looked at least
  shared = $state(false); // one colour scale for all layers and heads
  dark = $state(false);
  drawer = $state<"concepts" | "beside" | "claims" | "quiz" | null>(null); // one at a time: they lie in the same place
  partner = $state<string | null>(null); // in that drawer: the input that the chosen one is paired with
  printing = $state(false);
  night = $derived(this.dark && !this.printing); // dark as it is drawn: paper is light
  presenter = $state(false); // larger, and without the text beside the stage
  /** Ideas; all inputs side by side; statistics; exercises. Opening one closes another. */
  get concepts(): boolean { return this.drawer === "concepts"; }
  set concepts(open: boolean) { this.pull("concepts", open); }
  get beside(): boolean { return this.drawer === "beside"; }
  set beside(open: boolean) { this.pull("beside", open); }
  get claims(): boolean { return this.drawer === "claims"; }
  set claims(open: boolean) { this.pull("claims", open); }
  get quiz(): boolean { return this.drawer === "quiz"; }
  set quiz(open: boolean) { this.pull("quiz", open); }
  private pull(name: NonNullable<View["drawer"]>, open: boolean): void {
    if (open) this.drawer = name;
    else if (this.drawer === name) this.drawer = null;
  }
  headed = false; // the reader chose a head, or all of them
  settled = false; // the reader chose layer, head or token: no input moves them any more

  examples = $derived<Example[]>([...(this.document?.examples ?? []), ...this.added].map(withIsolatedNames));
  whole = $derived<Example | null>(this.examples[this.which] ?? this.examples[0] ?? null);
  example = $derived<Example | null>(this.whole && seenFrom(this.whole, this.chosen));
  watched = $derived(this.example?.watched ?? 0);
  model = $derived(this.document?.model ?? null);

  /** The toy's whole forward, done here. */
  run = $derived.by(() => {
    const pixels = this.example?.input.pixels;
    if (!this.document?.toy || !pixels || !this.model) return null;
    return forward(this.document.toy, this.model.heads, open(pixels));
  });

  source = $derived.by<Source | null>(() => {
    const example = this.example;
    if (!this.document || !this.model || !example) return null;
    if (this.run && this.document.toy) return toySource(this.document.toy, open(example.input.pixels!), this.model.heads, this.run);
    return tracedSource(this.model, example);
  });

  /** Weights that the class token gives (or, with `back`, gets), for the chosen layer and head. */
  weights = $derived.by(() => {
    const head = this.step === 4 ? (this.head ?? 0) : this.head;
    return this.example ? weightsOf(this.example, this.layer, head, this.back && this.step === 5) : new Float64Array();
  });

  /** Weights as they are drawn: between two layers while the film runs. */
  drawn = $derived.by(() => {
    if (this.film === null || !this.example) return this.weights;
    const [low, part] = [Math.floor(this.film), this.film - Math.floor(this.film)];
    const at = (l: number) => this.every[Math.min(this.model!.depth - 1, Math.max(0, l))];
    const [a, b] = [at(low), at(low + 1)];
    return a.map((x, t) => x + (b[t] - x) * part);
  });

  /** The weights of every layer, as the film shows them. */
  every = $derived.by(() => {
    const [example, head] = [this.example, this.head];
    return example && this.model ? Array.from({ length: this.model.depth }, (_, l) => weightsOf(example, l, head)) : [];
  });

  /** The film in quarters of a layer: digits that change at every frame cannot be read, and each costs a layout. */
  slow = $derived(this.film === null ? null : Math.round(4 * this.film) / 4);

  /** The address that the arithmetic panel explains: the last one clicked, or the step's own. */
  focus = $derived(this.trail.at(-1) ?? firstAddress(this.step, this));
}

/** The half of the content that is looked at least. */
export function leastOf(example: Example, weights: ArrayLike<number>): number[] {
  const content = example.tokens.map((_, t) => t).filter((t) => example.tokens[t].role === "content");
  return content.sort((a, b) => weights[a] - weights[b]).slice(0, Math.floor(content.length / 2));
}

/** One layer's weights, one head's or the mean over heads. */
export function weightsOf(example: Example, layer: number, head: number | null, back = false): Float64Array {
  const numbers = open(back ? example.layers.back : example.layers.weights);
  if (head !== null) return numbers.row(layer, head);
  return meanOf(Array.from({ length: numbers.shape[1] }, (_, h) => numbers.row(layer, h)));
}

/** What the arithmetic shows when a step opens. */
function firstAddress(step: number, view: View): string {
  const { watched, token, layer, dimension } = view;
  const head = view.head ?? 0;
  const content = view.example?.tokens[token]?.role === "class" ? firstContent(view) : token;
  switch (step) {
    case 1:
      return address("before", content, dimension);
    case 2:
      return address("before", watched, dimension);
    case 3:
      return address("after", token, dimension);
    case 4:
      return address("score", layer, head, watched, token);
    case 5:
      return view.head === null ? address("share", layer, watched, token) : address("weight", layer, head, watched, token);
    case 6:
      return address("middle", layer, watched, dimension);
    case 7:
      return address("state", layer + 1, watched, dimension);
    case 8:
      return address("final", watched, dimension);
    default:
      return address("answer", view.example?.answers.labels[0]?.index ?? 0);
  }
}

export function firstContent(view: { example: Example | null; watched: number }): number {
  return view.example?.tokens.findIndex((token) => token.role === "content") ?? 0;
}

/** Where a reader starts: the layer in which the answer is made, the head that adds most there, a patch that matters. */
export function start(example: Example): void {
  if (!view.settled) {
    view.layer = risesMost(example, view.model!)?.layer ?? 0;
    view.token = mostNeeded(example);
    view.picked = false;
  }
  toOwnHead();
}

/** Unless the reader chose: one head where one is looked into, the one that adds most; the mean over heads elsewhere. */
export function toOwnHead(): void {
  if (view.headed || !view.example) return;
  view.head = view.step >= 4 && view.step <= 6 ? loudestHead(view.example, view.layer) : null;
}

export const view = new View();

export function show(address: string): void {
  view.trail = [...view.trail, address];
}

export function go(step: number): void {
  view.step = Math.min(STEPS, Math.max(1, step));
  view.trail = [];
  toOwnHead();
}

export function choose(which: number): void {
  view.which = which;
  view.lost = "";
  view.chosen = null;
  view.answer = 0;
  view.trail = [];
  view.film = null;
  view.playing = false;
  const example = view.examples[which];
  if (!example) return;
  start(example);
  if (view.token >= example.tokens.length) view.token = example.watched ?? 0;
}

/** Another model's walkthrough: everything that was chosen belonged to the one before. */
export function exchange(document: Walkthrough): void {
  view.playing = view.settled = view.headed = false;
  view.film = view.hovered = view.chosen = null;
  view.added = [];
  view.guesses = new Map();
  view.working = new Set();
  view.document = document;
  view.dimension = view.layer = 0;
  choose(0);
}

export function select(token: number): void {
  view.token = token;
  view.picked = true;
  view.trail = [];
}

/** Go to a layer, as a reader does: the film ends there. */
export function toLayer(layer: number): void {
  view.layer = Math.min(view.model!.depth - 1, Math.max(0, layer));
  view.film = null;
  view.playing = false;
  view.settled = true;
  view.trail = [];
}

export function toHead(head: number | null): void {
  view.head = head;
  view.headed = view.settled = true;
  view.trail = [];
}

/** One level up: from a number to its token, to the head, to the layer, to the whole way. */
export function up(): void {
  if (view.drawer) view.drawer = null;
  else if (view.trail.length) view.trail = view.trail.slice(0, -1);
  else if (view.step >= 4 && view.step <= 6 && view.head !== null && view.step > 4) toHead(null);
  else if (view.step >= 4 && view.step <= 6) go(7);
  else if (view.step > 1) go(1);
}
