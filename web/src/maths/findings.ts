/** What can be read off a document by comparing attention with effects. */
import { open, type Numbers } from "../blocks";
import type { CutEffect, Example, ModelCard } from "../data";
import { add, cosine, dot, effectiveTokens, largest, length, scale } from "./basic";

/** A smaller change of the answer is no need that anybody would name: it would be written as 0.0 points. */
export const WORTH = 0.0005;

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

/** How sure of the first answer the class token is after each layer, 0 to 1, from before layer 0 on (N + 1 values).
 *
 * The lens' value where there is a classifier; else how alike the state is to the one that it ends as.
 */
export function fillings(example: Example, model: ModelCard): { values: number[]; lens: boolean } {
  const states = open(example.layers.states);
  const count = states.shape[0];
  const part = (x: number) => Math.min(1, Math.max(0, x));
  if (example.lens && model.outcome !== "cosine") {
    const lens = open(example.lens.values);
    return { values: Array.from({ length: count }, (_, l) => part(lens.at(l, 0))), lens: true };
  }
  const last = states.row(count - 1);
  return { values: Array.from({ length: count }, (_, l) => part(cosine(states.row(l), last))), lens: false };
}

/** Which of the shown answers is the first after an experiment; null where a class that is not shown may be before it. */
export function firstOf(model: ModelCard, example: Example, values: ArrayLike<number>): number | null {
  const best = largest(values, 1)[0];
  if (model.outcome === "cosine" || example.answers.labels.length >= (model.classes ?? 0)) return best;
  const others = 1 - Array.from(values).reduce((a, b) => a + b, 0); // what all classes have that are not shown
  return model.outcome === "probability" && values[best] >= others ? best : null;
}

/** The layer in which the first answer rises most, and from where to where. */
export function risesMost(example: Example, model: ModelCard): { layer: number; from: number; to: number } | null {
  const { values } = fillings(example, model);
  const rises = values.slice(1).map((x, l) => x - values[l]);
  if (!rises.length) return null;
  const layer = largest(rises, 1)[0];
  return { layer, from: values[layer], to: values[layer + 1] };
}

/** The head that adds the longest vector to the class token in a layer. */
export function loudestHead(example: Example, layer: number): number {
  const heads = open(example.layers.heads);
  return largest(Array.from({ length: heads.shape[1] }, (_, h) => length(heads.row(layer, h))), 1)[0];
}

/** The content token whose removal costs the first answer most; without removals, the one most read. */
export function mostNeeded(example: Example): number {
  const effect = effects(example);
  const content = example.tokens.map((_, t) => t).filter((t) => example.tokens[t].role === "content");
  if (!content.length) return 0;
  const mean = overall(example);
  const cost = content.map((t) => (effect ? -(effect.get(t) ?? 0) : mean[t]));
  return content[largest(cost, 1)[0]];
}

/** Content tokens that are looked at a lot and hardly used: in the top tenth of attention, with little effect. */
export const sinks = (example: Example): Set<number> => new Set(hiddenPaths(example, 8).unused);

/** How many other cuts change the answer at least as much as this one (equal but for rounding counts). */
export function asMuch(knock: CutEffect): number {
  const effect = Math.abs(knock.after - knock.before);
  return knock.null_values.filter((value) => Math.abs(value - knock.before) >= effect - 1e-9 * Math.max(1, effect)).length;
}

const RARE = 0.05; // where a p value alone, of one layer, would be called more than chance

/** Few other cuts do as much; yet so many layers or heads were tried that one stands out by chance alone. */
export const isRare = (knock: CutEffect): boolean => knock.verdict === "no more than chance" && (knock.p ?? 1) <= RARE;

/** Is there a token whose removal lowers the first answer, so that one can guess at it? */
export function lowers(example: Example): boolean {
  const all = [...(effects(example)?.values() ?? [])];
  return all.length > 1 && all.some((effect) => effect < 0);
}

const beside = new WeakMap<Example, { beside: number; apart: number } | null>();

/** How alike the position vectors of neighbours are, and of all other pairs of content tokens; null without such vectors. */
export function neighbours(example: Example): { beside: number; apart: number } | null {
  if (!beside.has(example)) beside.set(example, likeness(example));
  return beside.get(example)!;
}

function likeness(example: Example): { beside: number; apart: number } | null {
  if (!example.embeddings.position) return null;
  const content = example.tokens.map((_, t) => t).filter((t) => example.tokens[t].role === "content");
  const unit = directions(open(example.embeddings.position), content);
  const cells = content.map((t) => example.tokens[t].cell);
  const near = { sum: 0, count: 0 };
  for (let i = 0; i < content.length; i++)
    for (let j = 0; j < i; j++) {
      const [at, other] = [cells[i], cells[j]];
      const steps = at && other ? Math.abs(at[0] - other[0]) + Math.abs(at[1] - other[1]) : content[i] - content[j];
      if (steps !== 1) continue;
      near.sum += dot(unit[i], unit[j]);
      near.count += 1;
    }
  // The cosines of all pairs, without going through them: |Σ u|² = Σ |u|² + 2 Σ u·v over pairs.
  const total = unit.reduce(add, new Float64Array(unit[0]?.length ?? 0));
  const all = (dot(total, total) - unit.reduce((sum, u) => sum + dot(u, u), 0)) / 2;
  const apart = (content.length * (content.length - 1)) / 2 - near.count;
  return near.count && apart ? { beside: near.sum / near.count, apart: (all - near.sum) / apart } : null;
}

/** The rows of some tokens, each of length 1 (zeros stay zeros): the cosine of two is their product. */
const directions = (of: Numbers, tokens: number[]): Float64Array[] =>
  tokens.map((t) => {
    const row = of.row(t);
    return scale(row, 1 / (length(row) || 1));
  });

export interface Alike {
  tokens: number[]; // content tokens, in their order
  alike: Float64Array; // the cosine of each with each, row by row
  low: number; // the least of them, 0 at most: where the scale of colours begins
}
const MOST_PLACES = 400; // a picture of more than 160,000 pairs shows nothing
const alikeOf = new WeakMap<Example, Alike | null>();

/** How alike the position vectors of all content tokens are; null without such vectors, and where there are too many. */
export function placesAlike(example: Example): Alike | null {
  if (!alikeOf.has(example)) alikeOf.set(example, everyPair(example));
  return alikeOf.get(example)!;
}

function everyPair(example: Example): Alike | null {
  const tokens = example.tokens.map((_, t) => t).filter((t) => example.tokens[t].role === "content");
  if (!example.embeddings.position || tokens.length < 2 || tokens.length > MOST_PLACES) return null;
  const unit = directions(open(example.embeddings.position), tokens);
  const alike = new Float64Array(tokens.length ** 2);
  for (let i = 0; i < unit.length; i++) for (let j = 0; j <= i; j++) alike[i * unit.length + j] = alike[j * unit.length + i] = dot(unit[i], unit[j]);
  return { tokens, alike, low: alike.reduce((a, b) => Math.min(a, b), 0) };
}

/** Over how many tokens one head's attention is spread; of all heads the mean, as it is measured over many inputs. */
export function spreadOf(example: Example, layer: number, head: number | null): number {
  const weights = open(example.layers.weights);
  if (head !== null) return effectiveTokens(weights.row(layer, head));
  const heads = Array.from({ length: weights.shape[1] }, (_, h) => effectiveTokens(weights.row(layer, h)));
  return heads.reduce((a, b) => a + b, 0) / heads.length;
}
