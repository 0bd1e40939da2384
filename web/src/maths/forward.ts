/** The whole forward of a small pre-norm vision encoder, every value kept, with what-ifs.
 *
 * The same formulas as the Python encoder; both are tested against one golden trace.
 */
import { open, type Numbers } from "../blocks";
import type { ToyNorm, LinearWeights, ToyWeights } from "../data";
import { add, dot, gelu, layerNorm, relu, softmax } from "./basic";

type Rows = Float64Array[];

export interface LayerRun {
  input: Rows;
  normed1: Rows;
  queries: Rows[]; // [head][token]
  keys: Rows[];
  values: Rows[];
  scores: Rows[]; // [head][query], over keys; -Infinity where masked
  weights: Rows[];
  context: Rows[];
  headOut: Rows[]; // [head][token], D numbers
  attention: Rows;
  middle: Rows;
  normed2: Rows;
  up: Rows;
  active: Rows;
  feedforward: Rows;
  output: Rows;
}

export interface Run {
  kept: number[]; // original position of each token
  watched: number;
  before: Rows;
  position: Rows;
  after: Rows;
  layers: LayerRun[];
  final: Rows;
  vector: Float64Array;
  logits: Float64Array;
  probabilities: Float64Array;
}

export interface WhatIf {
  removed?: ReadonlySet<number>; // tokens to leave out, by position
  causal?: boolean; // no token sees a later one
  pooling?: "cls" | "mean" | "max";
  swap?: { layer: number; state: ArrayLike<number> }; // class token's state before this layer
  second?: boolean; // a second, identical class token after the first
}

const affine = (x: ArrayLike<number>, p: ToyNorm, eps: number) => layerNorm(x, open(p.weight).all(), open(p.bias).all(), eps);

export function linear(x: ArrayLike<number>, p: LinearWeights): Float64Array {
  const weight = open(p.weight);
  const bias = open(p.bias);
  return Float64Array.from({ length: weight.shape[0] }, (_, i) => dot(weight.row(i), x) + bias.at(i));
}

/** Pixels of patch number `p`, in the order channel, row, column. */
export function patchPixels(pixels: Numbers, patch: number, p: number): Float64Array {
  const [channels, , width] = pixels.shape;
  const columns = width / patch;
  const top = Math.floor(p / columns) * patch;
  const left = (p % columns) * patch;
  const out = new Float64Array(channels * patch * patch);
  let i = 0;
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < patch; y++) for (let x = 0; x < patch; x++) out[i++] = pixels.at(c, top + y, left + x);
  return out;
}

function attend(w: ToyWeights["blocks"][number], x: Rows, heads: number, eps: number, causal: boolean) {
  const normed1 = x.map((row) => affine(row, w.norm1, eps));
  const size = x[0].length / heads;
  const split = (p: LinearWeights): Rows[] => {
    const full = normed1.map((row) => linear(row, p));
    return Array.from({ length: heads }, (_, h) => full.map((row) => row.slice(h * size, (h + 1) * size)));
  };
  const [queries, keys, values] = [split(w.query), split(w.key), split(w.value)];
  const scores = queries.map((head, h) =>
    head.map((q, i) => Float64Array.from(keys[h], (k, j) => (causal && j > i ? -Infinity : dot(q, k) / Math.sqrt(size)))),
  );
  const weights = scores.map((head) => head.map(softmax));
  const context = weights.map((head, h) =>
    head.map((row) => Float64Array.from({ length: size }, (_, k) => dot(row, values[h].map((v) => v[k])))),
  );
  const matrix = open(w.output.weight);
  const headOut = context.map((head, h) =>
    head.map((c) =>
      Float64Array.from({ length: matrix.shape[0] }, (_, d) => dot(matrix.row(d).subarray(h * size, (h + 1) * size), c)),
    ),
  );
  const bias = open(w.output.bias).all();
  const attention = x.map((_, t) => headOut.reduce((total, head) => add(total, head[t]), bias));
  return { normed1, queries, keys, values, scores, weights, context, headOut, attention };
}

function block(weights: ToyWeights, l: number, heads: number, input: Rows, causal: boolean): LayerRun {
  const w = weights.blocks[l];
  const parts = attend(w, input, heads, weights.eps, causal);
  const middle = input.map((row, t) => add(row, parts.attention[t]));
  const normed2 = middle.map((row) => affine(row, w.norm2, weights.eps));
  const up = normed2.map((row) => linear(row, w.up));
  const active = up.map((row) => row.map(weights.activation === "gelu" ? gelu : relu));
  const feedforward = active.map((row) => linear(row, w.down));
  const output = middle.map((row, t) => add(row, feedforward[t]));
  return { input, ...parts, middle, normed2, up, active, feedforward, output };
}

/** The class token is at position 0 in a toy; patches follow. */
export function forward(weights: ToyWeights, heads: number, pixels: Numbers, what: WhatIf = {}): Run {
  const positions = open(weights.positions);
  const count = positions.shape[0];
  let kept = Array.from({ length: count }, (_, t) => t).filter((t) => t === 0 || !what.removed?.has(t));
  if (what.second) kept = [0, ...kept];
  const before = kept.map((t) =>
    t === 0 ? open(weights.class_token).all() : linear(patchPixels(pixels, weights.patch, t - 1), weights.stem),
  );
  const position = kept.map((t) => positions.row(t));
  const after = before.map((row, i) => add(row, position[i]));
  const layers: LayerRun[] = [];
  let rows = after;
  const place = (l: number) => {
    if (what.swap?.layer === l) rows = rows.map((row, i) => (i === 0 ? Float64Array.from(what.swap!.state) : row));
  };
  weights.blocks.forEach((_, l) => {
    place(l);
    layers.push(block(weights, l, heads, rows, what.causal ?? false));
    rows = layers[l].output;
  });
  place(weights.blocks.length);
  const final = rows.map((row) => affine(row, weights.final_norm, weights.eps));
  const vector = pool(final, kept, what.pooling ?? "cls");
  const logits = linear(vector, weights.head);
  return { kept, watched: 0, before, position, after, layers, final, vector, logits, probabilities: softmax(logits) };
}

function pool(final: Rows, kept: number[], pooling: "cls" | "mean" | "max"): Float64Array {
  if (pooling === "cls") return final[0];
  const patches = final.filter((_, i) => kept[i] !== 0);
  if (patches.length === 0) return new Float64Array(final[0].length);
  return Float64Array.from(final[0], (_, d) => {
    const column = patches.map((row) => row[d]);
    return pooling === "max" ? Math.max(...column) : column.reduce((a, b) => a + b, 0) / column.length;
  });
}
