/** Step 6: what is added to the class token in one layer, as lines that add up whatever heads are shown. */
import { open } from "../blocks";
import type { Example, ModelCard } from "../data";
import { address } from "./origin";

/** Heads that have a line of their own while none is chosen. */
export const HEADS_SHOWN = 4;

export interface Line {
  sign: "" | "+" | "=";
  what: "state" | "head" | "others" | "bias" | "middle" | "feedforward" | "next";
  head?: number;
  values: Float64Array;
  at: ((d: number) => string) | null; // the address of one number, where it has one
}

const sum = (rows: Float64Array[]): Float64Array => rows[0].map((_, d) => rows.reduce((total, row) => total + row[d], 0));

/** state + heads + bias = after attention; + feed-forward = new state. Heads without a line of their own are one line. */
export function ledger(model: ModelCard, example: Example, layer: number, head: number | null): Line[] {
  const { layers } = example;
  const watched = example.watched ?? 0;
  const row = (block: typeof layers.heads, ...place: number[]) => open(block).row(...place);
  const own = (h: number) => (head === null ? h < HEADS_SHOWN || model.heads === HEADS_SHOWN + 1 : h === head);
  const all = Array.from({ length: model.heads }, (_, h) => h);
  const rest = all.filter((h) => !own(h));
  const bias = model.shared.attention_bias;
  return [
    { sign: "", what: "state", values: row(layers.states, layer), at: (d) => address("state", layer, watched, d) },
    ...all.filter(own).map((h): Line => ({ sign: "+", what: "head", head: h, values: row(layers.heads, layer, h), at: (d) => address("headout", layer, h, watched, d) })),
    ...(rest.length ? [{ sign: "+", what: "others", values: sum(rest.map((h) => row(layers.heads, layer, h))), at: null } as Line] : []),
    ...(bias ? [{ sign: "+", what: "bias", values: row(bias, layer), at: (d) => address("output.b", layer, d) } as Line] : []),
    { sign: "=", what: "middle", values: row(layers.middle, layer), at: (d) => address("middle", layer, watched, d) },
    { sign: "+", what: "feedforward", values: row(layers.feedforward, layer), at: (d) => address("feedforward", layer, watched, d) },
    { sign: "=", what: "next", values: row(layers.states, layer + 1), at: (d) => address("state", layer + 1, watched, d) },
  ];
}
