/** Numbers as the page writes them. Digits are cut from the f32 that Python wrote; the tests compare them with its trace. */

const MINUS = "−";

/** Fixed decimals; a number too small for them is written as a power of ten. */
export function number(x: number, decimals = 3): string {
  if (x === -Infinity) return `${MINUS}∞`;
  if (!Number.isFinite(x)) return "?";
  const size = Math.abs(x);
  const text = size !== 0 && size < 0.5 * 10 ** -decimals ? size.toExponential(1).replace("e-", `e${MINUS}`) : size.toFixed(decimals);
  return x < 0 && Number(size.toFixed(decimals)) + size > 0 ? MINUS + text : text;
}

/** A share of 1 as per cent. */
export function percent(x: number, decimals = 1): string {
  if (!Number.isFinite(x)) return "?";
  if (Math.abs(x - 1) < 1e-6) x = 1; // all of it, but for what adding up in 32 bits costs
  // 99.97 % is not 100 %: near the ends one more digit is said, as long as it says something.
  if (decimals === 1 && x !== 0 && x !== 1 && (x > 0.9995 || (x > 0 && x < 0.0005))) decimals = 3;
  const text = (Math.abs(x) * 100).toFixed(decimals);
  return `${x < 0 && Number(text) !== 0 ? MINUS : ""}${text} %`;
}

/** A difference of shares in percentage points, always with its sign. */
export function points(x: number): string {
  const text = (Math.abs(x) * 100).toFixed(Math.abs(x) < 0.0005 ? 3 : 1);
  return Number(text) === 0 ? "±0 points" : `${x < 0 ? MINUS : "+"}${text} points`;
}

/** A share in whole per cent, for pictures; what is nearly all or nearly nothing says so. */
export function roughly(x: number): string {
  if (x > 0.995 && x < 1) return "> 99 %";
  if (x > 0 && x < 0.005) return "< 1 %";
  return percent(x, 0);
}
