/** What one layer's attention is drawn as: itself, the tokens most read, and all the rest. Together exactly all of it. */
import { largest } from "../maths/basic";
import type { Example } from "../data";

export const RIBBONS = 8;

export interface Shares {
  self: number;
  most: { t: number; share: number }[];
  rest: number;
}

export function sharesOf(example: Example, weights: ArrayLike<number>): Shares {
  const own = example.watched;
  const others = Array.from(weights, (x, t) => (t === own ? -1 : x));
  const most = largest(others, Math.min(RIBBONS, others.length - (own === null ? 0 : 1))).map((t) => ({ t, share: weights[t] }));
  const self = own === null ? 0 : weights[own];
  const all = Array.from(weights).reduce((a, b) => a + b, 0);
  return { self, most, rest: Math.max(0, all - self - most.reduce((a, each) => a + each.share, 0)) };
}
