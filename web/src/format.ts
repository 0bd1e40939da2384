/** Numbers as the page writes them. Digits are cut from the f32 that Python wrote; the tests compare them with its trace. */

const MINUS = "−";

/** Fixed decimals; of a number too small for them, its first two digits, or, from a hundred-thousandth down, a power of ten. */
export function number(x: number, decimals = 3): string {
  if (x === -Infinity) return `${MINUS}∞`;
  if (!Number.isFinite(x)) return "?";
  const size = Math.abs(x);
  const text = size !== 0 && size < 0.5 * 10 ** -decimals ? tiny(size) : size.toFixed(decimals);
  return x < 0 && Number(size.toFixed(decimals)) + size > 0 ? MINUS + text : text;
}

const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";

function tiny(size: number): string {
  const power = Math.floor(Math.log10(size));
  if (power >= -5) return size.toFixed(1 - power);
  return `${(size / 10 ** power).toFixed(1)} · 10⁻${[...String(-power)].map((digit) => SUPERSCRIPT[Number(digit)]).join("")}`;
}

/** A share of 1 as per cent; no line breaks between the number and its sign. */
export function percent(x: number, decimals = 1): string {
  if (!Number.isFinite(x)) return "?";
  if (Math.abs(x - 1) < 1e-6) x = 1; // all of it, but for what adding up in 32 bits costs
  // Neither nothing nor all of it is said of what is only near: 0.02 % beside 88.7 % is less than 0.1 %.
  if (decimals === 1 && x > 0 && x < 0.0005) return "<\u00a00.1\u00a0%";
  if (decimals === 1 && x > 0.9995 && x < 1) decimals = 3;
  const text = (Math.abs(x) * 100).toFixed(decimals);
  return `${x < 0 && Number(text) !== 0 ? MINUS : ""}${text}\u00a0%`;
}

/** A difference of shares in percentage points, always with its sign. */
export function points(x: number): string {
  const text = (Math.abs(x) * 100).toFixed(Math.abs(x) < 0.0005 ? 3 : 1);
  return Number(text) === 0 ? "±0 points" : `${x < 0 ? MINUS : "+"}${text} points`;
}

/** A share in whole per cent, for pictures; what is nearly all or nearly nothing says so. */
export function roughly(x: number): string {
  if (x > 0.995 && x < 1) return ">\u00a099\u00a0%";
  if (x > 0 && x < 0.005) return "<\u00a01\u00a0%";
  return percent(x, 0);
}
