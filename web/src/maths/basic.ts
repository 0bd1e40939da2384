/** The arithmetic of a transformer encoder, one function a formula, in 64-bit floats. */

export type Vector = ArrayLike<number>;

export function dot(a: Vector, b: Vector): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

export function sum(a: Vector): number {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i];
  return total;
}

export function add(a: Vector, b: Vector): Float64Array {
  const out = new Float64Array(a.length);
  for (let i = 0; i < a.length; i++) out[i] = a[i] + b[i];
  return out;
}

export function scale(a: Vector, by: number): Float64Array {
  const out = new Float64Array(a.length);
  for (let i = 0; i < a.length; i++) out[i] = a[i] * by;
  return out;
}
export const length = (a: Vector): number => Math.sqrt(dot(a, a));

/** Cosine of the angle between two vectors; 0 when one of them is zero. */
export function cosine(a: Vector, b: Vector): number {
  const size = length(a) * length(b);
  return size === 0 ? 0 : dot(a, b) / size;
}

/** exp(x_i - max) / sum of exp(x_j - max); -Infinity becomes exactly 0. */
export function softmax(x: Vector): Float64Array {
  let top = -Infinity;
  for (let i = 0; i < x.length; i++) top = Math.max(top, x[i]);
  const powers = Float64Array.from(x, (value) => Math.exp(value - top));
  return scale(powers, 1 / sum(powers));
}

/** (x - mean) / sqrt(variance + eps) * weight + bias, the variance divided by the count. */
export function layerNorm(x: Vector, weight: Vector, bias: Vector | null, eps: number): Float64Array {
  const mean = sum(x) / x.length;
  let variance = 0;
  for (let i = 0; i < x.length; i++) variance += (x[i] - mean) ** 2;
  const size = Math.sqrt(variance / x.length + eps);
  return Float64Array.from(x, (value, i) => ((value - mean) / size) * weight[i] + (bias ? bias[i] : 0));
}

/** x / sqrt(mean of squares + eps) * weight. */
export function rmsNorm(x: Vector, weight: Vector, eps: number): Float64Array {
  const size = Math.sqrt(dot(x, x) / x.length + eps);
  return Float64Array.from(x, (value, i) => (value / size) * weight[i]);
}

/** The error function to 1e-13: a Taylor series inside |x| < 3, a continued fraction of erfc outside. */
export function erf(x: number): number {
  if (x < 0) return -erf(-x);
  if (x < 3) {
    let term = x;
    let total = x;
    for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(total) && n < 200; n++) {
      term *= (-x * x) / n;
      total += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * total;
  }
  let fraction = x;
  for (let n = 60; n > 0; n--) fraction = x + n / 2 / fraction;
  return 1 - Math.exp(-x * x) / (fraction * Math.sqrt(Math.PI));
}

/** x times the normal distribution's share below x. */
export const gelu = (x: number): number => 0.5 * x * (1 + erf(x / Math.SQRT2));
export const relu = (x: number): number => Math.max(0, x);

/** -sum of p ln p in nats. */
export function entropy(p: Vector): number {
  let total = 0;
  for (let i = 0; i < p.length; i++) if (p[i] > 0) total -= p[i] * Math.log(p[i]);
  return total;
}

/** exp(entropy): over how many tokens the weight is spread, as if evenly. */
export const effectiveTokens = (p: Vector): number => Math.exp(entropy(p));

/** Mean of rows, each of one length. */
export function meanOf(rows: Vector[]): Float64Array {
  const out = new Float64Array(rows[0].length);
  for (const row of rows) for (let i = 0; i < out.length; i++) out[i] += row[i] / rows.length;
  return out;
}

/** Positions of the largest values, largest first; ties by position. */
export function largest(x: Vector, count: number): number[] {
  return Array.from({ length: x.length }, (_, i) => i)
    .sort((a, b) => x[b] - x[a] || a - b)
    .slice(0, count);
}

/** The largest of any number of numbers: as arguments of one call a hundred thousand are too many. */
export function highest(values: ArrayLike<number>, least = -Infinity): number {
  let most = least;
  for (let i = 0; i < values.length; i++) if (values[i] > most) most = values[i];
  return most;
}
