/** Colours: cividis for amounts (safe for colour-blind eyes, even in lightness), blue to orange around zero. */

// Eleven stops of matplotlib's cividis (Nunez, Anderton, Renslow 2018), interpolated linearly.
const CIVIDIS: [number, number, number][] = [
  [0, 34, 78], [18, 53, 112], [59, 73, 109], [87, 93, 109], [112, 113, 115], [138, 134, 120],
  [165, 156, 116], [195, 179, 105], [225, 204, 85], [246, 224, 64], [254, 232, 56],
];

function cividisParts(x: number): number[] {
  const place = Math.min(1, Math.max(0, Number.isFinite(x) ? x : 0)) * (CIVIDIS.length - 1);
  const low = Math.min(CIVIDIS.length - 2, Math.floor(place));
  const part = place - low;
  return CIVIDIS[low].map((value, i) => Math.round(value + (CIVIDIS[low + 1][i] - value) * part));
}

/** The same colour into a picture's pixels, four bytes from `at` on: strings are too slow for every frame of a film. */
export function putCividis(pixels: Uint8ClampedArray, at: number, x: number): void {
  pixels.set(cividisParts(x), at);
  pixels[at + 3] = 255;
}

export const cividis = (x: number): string => `rgb(${cividisParts(x).join(" ")})`;

/** Black or white, whichever stands out more on that colour (WCAG's relative luminance). */
export function inkOn(x: number): string {
  const [r, g, b] = cividisParts(x).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

/** Blue below zero, orange above, the ground's own colour at zero; `x` in [-1, 1]. */
export const diverging = (x: number, dark: boolean): string => `rgb(${divergingParts(x, dark).join(" ")})`;

/** The same as red, green and blue, 0 to 255: for pictures of many numbers. */
export function divergingParts(x: number, dark: boolean): number[] {
  const clipped = Math.min(1, Math.max(-1, Number.isFinite(x) ? x : 0));
  const zero = dark ? [38, 43, 54] : [244, 244, 240];
  const end = clipped < 0 ? (dark ? [92, 160, 255] : [20, 84, 180]) : dark ? [255, 150, 80] : [190, 80, 10];
  const part = Math.abs(clipped) ** 0.8;
  return zero.map((value, i) => Math.round(value + (end[i] - value) * part));
}

/** What the fullest colour stands for where rows are compared: a few outlying numbers would leave all others blank. */
export function usual(rows: ArrayLike<number>[]): number {
  const sizes = Float64Array.from(rows.flatMap((row) => Array.from(row, Math.abs))).sort();
  return sizes[Math.floor(sizes.length * 0.99)] || 1e-9;
}
