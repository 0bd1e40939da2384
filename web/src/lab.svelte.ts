/** The laboratory: one change at a time, computed here (toy), looked up (page on disk), or asked of the server. */
import { api, served } from "./api";
import { bare } from "./bidi";
import { open } from "./blocks";
import type { Example } from "./data";
import { forward, type WhatIf } from "./maths/forward";
import { length } from "./maths/basic";
import { choose, view } from "./state.svelte";

export type Mode = "remove" | "pooling" | "swap" | "causal" | "two" | "untrained";

class Lab {
  mode = $state<Mode>("remove");
  removed = $state.raw<ReadonlySet<number>>(new Set());
  pooling = $state("mean");
  swapLayer = $state(0);
  donor = $state<string | null>(null); // another input to swap with; null: the one that was computed with the input
  values = $state.raw<Float64Array | null>(null);
  busy = $state(false);
  problem = $state("");
  missing = $state(false);
  turn = 0;
}

export const lab = new Lab();
let asked = ""; // the input whose answers are shown

/** Another input: what was taken away from the one before, or put into it, was of that one. */
export function walkTo(which: number): void {
  choose(which);
  lab.removed = new Set();
  lab.donor = null;
}

/** Can any set of tokens be taken away, or only one at a time? */
export const free = (): boolean => view.run !== null || served();

export function toggle(t: number): void {
  if (view.example?.tokens[t].role !== "content") return;
  const next = new Set(free() ? lab.removed : lab.removed.has(t) ? [t] : []);
  if (!next.delete(t)) next.add(t);
  lab.removed = next;
}

function toy(example: Example, what: WhatIf): Float64Array {
  const run = forward(view.document!.toy!, view.model!.heads, open(example.input.pixels!), what);
  return Float64Array.from(example.answers.labels, (label) => run.probabilities[label.index]);
}

/** The toy's own answer to the experiment at hand. */
function computed(example: Example): Float64Array {
  if (lab.mode === "remove") return toy(example, { removed: lab.removed });
  if (lab.mode === "pooling") return toy(example, { pooling: lab.pooling as WhatIf["pooling"] });
  if (lab.mode === "causal") return toy(example, { causal: true });
  if (lab.mode === "two") return toy(example, { second: true });
  return toy(example, { swap: { layer: lab.swapLayer, state: donated(example) } });
}

/** The class token's state that a toy's swap puts in: that of the chosen input, or of the contrast. */
function donated(example: Example): ArrayLike<number> {
  const donor = view.examples.find((each) => each.id === lab.donor) ?? example.contrast!;
  return open("layers" in donor ? donor.layers.states : donor.states).row(lab.swapLayer);
}

/** Inputs whose class token can be put in beside the one that was computed with the input: any other where the model can
  be run, here or at the server. */
export function donors(): Example[] {
  if (!free()) return [];
  const others = view.examples.filter((each) => each.id !== view.example?.id);
  const computed = others.findIndex((each) => bare(each.title) === view.example?.swaps[0]?.donor);
  return others.filter((_, i) => i !== computed);
}

/** What a page on disk holds; null where it was not computed. */
function precomputed(example: Example): Float64Array | null {
  if (lab.mode === "pooling") {
    const found = example.poolings.find((each) => each.name === lab.pooling);
    return found ? open(found.values).all() : null;
  }
  if (lab.mode === "causal") return example.causal?.values ? open(example.causal.values).all() : null;
  if (lab.mode === "two") return example.two ? open(example.two.values).all() : null;
  if (lab.mode === "untrained") return example.untrained ? open(example.untrained.lens).row(view.model!.depth) : null;
  if (lab.mode === "swap" && lab.donor) return null;
  if (lab.mode === "swap") return example.swaps[0] ? open(example.swaps[0].values).row(lab.swapLayer) : null;
  if (lab.removed.size === 0) return open(example.answers.values).all();
  const place = example.removals?.tokens.indexOf([...lab.removed][0]) ?? -1;
  return lab.removed.size === 1 && place >= 0 ? open(example.removals!.values).row(place) : null;
}

/** Do the experiment. Answers that come back late are dropped. */
export async function experiment(): Promise<void> {
  const example = view.example!;
  const turn = ++lab.turn;
  lab.problem = "";
  lab.missing = false;
  const known = view.run && lab.mode !== "untrained" && (lab.mode !== "swap" || example.contrast) ? computed(example) : precomputed(example);
  // While the server is at work the answers of before stay, said to be so; never those of another input.
  if (known || asked !== example.id || !served()) lab.values = known;
  asked = example.id;
  const live = lab.mode === "remove" || (lab.mode === "swap" && lab.donor !== null);
  if (known || !served() || !live) {
    lab.missing = known === null;
    lab.values = known;
    return;
  }
  lab.busy = true;
  try {
    const swap = lab.donor === null ? undefined : { donor: lab.donor, layer: lab.swapLayer, token: view.watched };
    const answer = await api.whatIf(example.id, lab.mode === "swap" ? { swap } : { removed: [...lab.removed].sort((a, b) => a - b) });
    if (turn === lab.turn) lab.values = open(answer.values).all();
  } catch (error) {
    if (turn !== lab.turn) return;
    lab.problem = (error as Error).message;
    lab.values = null; // what stood there is the answer to something else
  } finally {
    if (turn === lab.turn) lab.busy = false;
  }
}

/** Toy only: how far the causal class token moves when the input changes. */
export function causalMove(example: Example): { change: number; reference: number } | null {
  if (example.causal) return example.causal;
  const other = view.document!.examples.find((each) => each.id !== example.id && each.input.pixels);
  if (!view.run || !other) return null;
  const pixels = [example, other].map((each) => open(each.input.pixels!));
  const move = (causal: boolean) => {
    const [a, b] = pixels.map((p) => forward(view.document!.toy!, view.model!.heads, p, { causal }).final[0]);
    return length(a.map((x, i) => x - b[i]));
  };
  return { change: move(true), reference: move(false) };
}
