/** The picture that the demonstrations stand on: the reader's own, or a small scene where the model reads texts. */
import type { Example } from "../data";

const SCENE = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" fill="#a9cdf0"/><rect y="44" width="64" height="20" fill="#7fae6a"/><circle cx="50" cy="13" r="7" fill="#ffd75e"/><rect x="10" y="26" width="22" height="22" fill="#c9674f"/><path d="M7 27 21 14 35 27z" fill="#6b3a2e"/><rect x="18" y="37" width="7" height="11" fill="#3b2a22"/><rect x="46" y="34" width="3" height="14" fill="#5b4030"/><circle cx="47" cy="30" r="8" fill="#3f7f45"/></svg>`;

export const pictureOf = (example: Example): string => example.input.image ?? `data:image/svg+xml,${encodeURIComponent(SCENE)}`;

/** The picture as `size` x `size` grey values from 0 to 1. */
export async function greys(source: string, size: number): Promise<Float64Array> {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.drawImage(image, 0, 0, size, size);
  const { data } = context.getImageData(0, 0, size, size);
  return Float64Array.from({ length: size * size }, (_, i) => (0.3 * data[4 * i] + 0.59 * data[4 * i + 1] + 0.11 * data[4 * i + 2]) / 255);
}
