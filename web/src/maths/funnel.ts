/** One head's way from scores to what it adds, for the tokens that it reads most, the class token and all the rest. */
import { open } from "../blocks";
import type { Example } from "../data";
import { RIBBONS } from "../river/shares";
import { largest } from "./basic";
import { rowOf } from "./kept";

export interface FunnelRow {
  t: number | null; // null: all tokens without a row of their own
  count: number;
  score: number | null;
  power: number; // exp(score - highest score)
  share: number;
  value: Float64Array | null; // (K)
  brought: Float64Array | null; // (K) share x value
}

export interface Funnel {
  rows: FunnelRow[];
  highest: number; // the score that is subtracted from all before exp
  powers: number; // the sum that the powers are divided by
  context: Float64Array | null; // (K) the sum of all that is brought
  top: { score: number; value: number; brought: number }; // largest sizes, for the scales
}

export function funnelOf(example: Example, layer: number, head: number): Funnel {
  const { layers, watched } = example;
  const scores = open(layers.scores).row(layer, head);
  const weights = open(layers.weights).row(layer, head);
  const context = layers.context ? open(layers.context).row(layer, head) : null;
  const highest = Math.max(...scores);
  const powers = Float64Array.from(scores, (x) => Math.exp(x - highest));
  const others = Array.from(weights, (x, t) => (t === watched ? -1 : x));
  const rest = scores.length - (watched === null ? 0 : 1);
  const shown = largest(others, rest === RIBBONS + 1 ? rest : Math.min(RIBBONS, rest)); // a row for "1 other" could name it
  const own = watched === null ? [] : [watched];
  const rows: FunnelRow[] = [...own, ...shown].map((t) => {
    const value = rowOf(layers, "values", layer, head, t);
    return { t, count: 1, score: scores[t], power: powers[t], share: weights[t], value, brought: value && value.map((x) => x * weights[t]) };
  });
  const sum = (list: ArrayLike<number>, of: (number | null)[]) => of.reduce((a: number, t) => a + list[t!], 0);
  const all = Array.from(scores, (_, t) => t);
  const left = all.filter((t) => !rows.some((row) => row.t === t));
  if (left.length) {
    const known = rows.every((row) => row.brought);
    const brought = context && known ? context.map((x, k) => x - rows.reduce((a, row) => a + row.brought![k], 0)) : null;
    rows.push({ t: null, count: left.length, score: null, power: sum(powers, left), share: sum(weights, left), value: null, brought });
  }
  const size = (lists: (Float64Array | null)[]) => Math.max(1e-9, ...lists.map((list) => (list ? Math.max(...list.map(Math.abs)) : 0)));
  return {
    rows,
    highest,
    powers: sum(powers, all),
    context,
    top: {
      score: Math.max(1e-9, ...rows.map((row) => Math.abs(row.score ?? 0))),
      value: size(rows.map((row) => row.value)),
      brought: size([...rows.map((row) => row.brought), context]),
    },
  };
}
