/** What can be read off a document by comparing attention with effects. */
import { open } from "../blocks";
import type { Example } from "../data";
import { largest } from "./basic";

/** How far the first answer falls (negative) or rises when one token is taken away, by token. */
export function effects(example: Example): Map<number, number> | null {
  if (!example.removals) return null;
  const before = open(example.answers.values).at(0);
  const values = open(example.removals.values);
  return new Map(example.removals.tokens.map((t, i) => [t, values.at(i, 0) - before]));
}

/** The class token's weight on each token, averaged over all heads and layers. */
export function overall(example: Example): Float64Array {
  const weights = open(example.layers.weights);
  const [layers, heads, count] = weights.shape;
  const out = new Float64Array(count);
  for (let l = 0; l < layers; l++)
    for (let h = 0; h < heads; h++) weights.row(l, h).forEach((w, t) => (out[t] += w / (layers * heads)));
  return out;
}

/** Attended but not needed; needed but hardly attended. Both among content tokens, by ranks, so no threshold hides in them. */
export function hiddenPaths(example: Example, count = 3): { unused: number[]; unseen: number[] } {
  const effect = effects(example);
  if (!effect) return { unused: [], unseen: [] };
  const tokens = [...effect.keys()].filter((t) => example.tokens[t].role === "content");
  if (tokens.length < 8) return { unused: [], unseen: [] };
  const mean = overall(example);
  const part = Math.max(1, Math.floor(tokens.length / 10));
  const seen = tokens.map((t) => mean[t]);
  const moved = tokens.map((t) => Math.abs(effect.get(t)!));
  const attended = new Set(largest(seen, part).map((i) => tokens[i]));
  const needed = new Set(largest(moved, part).map((i) => tokens[i]));
  const middle = [...moved].sort((a, b) => a - b)[Math.floor(moved.length / 2)];
  const dim = [...seen].sort((a, b) => a - b)[Math.floor(seen.length / 2)];
  return {
    unused: [...attended].filter((t) => Math.abs(effect.get(t)!) <= middle).slice(0, count),
    unseen: [...needed].filter((t) => mean[t] <= dim).slice(0, count),
  };
}
