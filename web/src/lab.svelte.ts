/** The laboratory: one change at a time, computed here (toy), looked up (page on disk), or asked of the server. */
import { api, served } from "./api";
import { open } from "./blocks";
import type { Example } from "./data";
import { forward, type WhatIf } from "./maths/forward";
import { length } from "./maths/basic";
import { view } from "./state.svelte";

export type Mode = "remove" | "pooling" | "swap" | "causal" | "two";

class Lab {
  mode = $state<Mode>("remove");
  removed = $state.raw<ReadonlySet<number>>(new Set());
  pooling = $state("mean");
  swapLayer = $state(0);
  values = $state.raw<Float64Array | null>(null);
  busy = $state(false);
  problem = $state("");
  missing = $state(false);
  turn = 0;
}

export const lab = new Lab();

/** Can any set of tokens be taken away, or only one at a time? */
export const free = (): boolean => view.run !== null || served();

export function toggle(t: number): void {
  if (t === view.hero) return;
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
  return toy(example, { swap: { layer: lab.swapLayer, state: open(example.contrast!.states).row(lab.swapLayer) } });
}

/** What a page on disk holds; null where it was not computed. */
function precomputed(example: Example): Float64Array | null {
  if (lab.mode === "pooling") {
    const found = example.poolings.find((each) => each.name === lab.pooling);
    return found ? open(found.values).all() : null;
  }
  if (lab.mode === "causal") return example.causal?.values ? open(example.causal.values).all() : null;
  if (lab.mode === "two") return example.two ? open(example.two.values).all() : null;
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
  const known = view.run && (lab.mode !== "swap" || example.contrast) ? computed(example) : precomputed(example);
  lab.values = known;
  if (known || !served() || lab.mode !== "remove") {
    lab.missing = known === null;
    return;
  }
  lab.busy = true;
  try {
    const answer = await api.whatIf(example.id, { removed: [...lab.removed].sort((a, b) => a - b) });
    if (turn === lab.turn) lab.values = open(answer.values).all();
  } catch (error) {
    if (turn === lab.turn) lab.problem = (error as Error).message;
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
