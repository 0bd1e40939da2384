/** Colours: cividis for amounts (safe for colour-blind eyes, even in lightness), blue to orange around zero. */

// Eleven stops of matplotlib's cividis (Nunez, Anderton, Renslow 2018), interpolated linearly.
const CIVIDIS: [number, number, number][] = [
  [0, 34, 78], [18, 53, 112], [59, 73, 109], [87, 93, 109], [112, 113, 115], [138, 134, 120],
  [165, 156, 116], [195, 179, 105], [225, 204, 85], [246, 224, 64], [254, 232, 56],
];

/** The colour between two, into a picture's pixels from `at` on. A picture of many numbers has no time for strings. */
function put(pixels: Uint8ClampedArray, at: number, from: number[], to: number[], part: number): void {
  for (let i = 0; i < 3; i++) pixels[at + i] = Math.round(from[i] + (to[i] - from[i]) * part);
  pixels[at + 3] = 255;
}

export function putCividis(pixels: Uint8ClampedArray, at: number, x: number): void {
  const place = Math.min(1, Math.max(0, Number.isFinite(x) ? x : 0)) * (CIVIDIS.length - 1);
  const low = Math.min(CIVIDIS.length - 2, Math.floor(place));
  put(pixels, at, CIVIDIS[low], CIVIDIS[low + 1], place - low);
}

/** A colour as red, green and blue, 0 to 255. */
function parts(write: (pixels: Uint8ClampedArray) => void): number[] {
  const pixels = new Uint8ClampedArray(4);
  write(pixels);
  return [...pixels.subarray(0, 3)];
}

const cividisParts = (x: number): number[] => parts((pixels) => putCividis(pixels, 0, x));
export const cividis = (x: number): string => `rgb(${cividisParts(x).join(" ")})`;

/** Black or white, whichever stands out more on that colour (WCAG's relative luminance). */
export function inkOn(x: number): string {
  const [r, g, b] = cividisParts(x).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

const LIGHT = { zero: [244, 244, 240], below: [20, 84, 180], above: [190, 80, 10] };
const DARK = { zero: [38, 43, 54], below: [92, 160, 255], above: [255, 150, 80] };

/** Blue below zero, orange above, the ground's own colour at zero; `x` in [-1, 1]. */
export const diverging = (x: number, dark: boolean): string => `rgb(${parts((pixels) => putDiverging(pixels, 0, x, dark)).join(" ")})`;

export function putDiverging(pixels: Uint8ClampedArray, at: number, x: number, dark: boolean): void {
  const clipped = Math.min(1, Math.max(-1, Number.isFinite(x) ? x : 0));
  const { zero, below, above } = dark ? DARK : LIGHT;
  put(pixels, at, zero, clipped < 0 ? below : above, Math.abs(clipped) ** 0.8);
}

/** What the fullest colour stands for where rows are compared: a few outlying numbers would leave all others blank. */
export function usual(rows: ArrayLike<number>[]): number {
  const sizes = new Float64Array(rows.reduce((count, row) => count + row.length, 0));
  let at = 0;
  for (const row of rows) for (let i = 0; i < row.length; i++) sizes[at++] = Math.abs(row[i]);
  sizes.sort();
  return sizes[Math.floor(sizes.length * 0.99)] || 1e-9;
}
