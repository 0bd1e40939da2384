/** The river's still parts, drawn on a canvas: the picture, its patches as tiles, a small map for each layer. */
import { open } from "../blocks";
import { diverging, inkOn, putCividis, usual } from "../colour";
import { grey } from "../parts/thumbs";
import type { Example } from "../data";
import { LETTER, mapOf, tileAt, type Box, type Geometry } from "./geometry";

const FLIGHT = 600; // ms that one patch takes
const SPREAD = 700; // ms between the first and the last

/** Until when patches fly. */
export const FLYING = FLIGHT + SPREAD;

const ease = (x: number) => (x < 0.5 ? 4 * x * x * x : 1 - (-2 * x + 2) ** 3 / 2);

/** How far the i-th of n patches has come, `ms` after the first one left. */
export const flown = (i: number, n: number, ms: number): number => ease(Math.min(1, Math.max(0, (ms - (SPREAD * i) / Math.max(1, n)) / FLIGHT)));

export interface Painter {
  context: CanvasRenderingContext2D;
  g: Geometry;
  example: Example;
  block: number[]; // tokens that have a tile
  picture: HTMLImageElement | null;
  dark: boolean;
}

/** The picture with its grid, and the tiles on their way. */
export function drawInput({ context, g, example, block, picture, dark }: Painter, ms: number): void {
  const vectors = open(example.embeddings.before);
  if (!picture || !g.picture || !example.input.grid) return;
  const [rows, columns] = example.input.grid;
  const { x, y, w, h } = g.picture;
  context.imageSmoothingEnabled = picture.naturalWidth > w;
  context.drawImage(picture, x, y, w, h);
  context.strokeStyle = "rgb(255 255 255 / .45)";
  context.lineWidth = 0.5;
  context.beginPath();
  for (let i = 1; i < columns; i++) context.rect(x + (w * i) / columns, y, 0, h);
  for (let i = 1; i < rows; i++) context.rect(x, y + (h * i) / rows, w, 0);
  context.stroke();
  const [sw, sh] = [picture.naturalWidth / columns, picture.naturalHeight / rows];
  context.imageSmoothingEnabled = sw > g.block.tile.w;
  const top = g.block.strip > 8 ? usual(block.map((t) => vectors.row(t))) : 1;
  block.forEach((t, i) => {
    const cell = example.tokens[t].cell;
    if (!cell) return;
    const part = flown(i, block.length, ms);
    const to = tileAt(g.block, i);
    const from = { x: x + (w * cell[1]) / columns, y: y + (h * cell[0]) / rows, w: w / columns, h: h / rows };
    const mix = (a: number, b: number) => a + (b - a) * part;
    context.drawImage(picture, cell[1] * sw, cell[0] * sh, sw, sh, mix(from.x, to.x), mix(from.y, to.y), mix(from.w, g.block.tile.w), mix(from.h, g.block.tile.h));
    if (g.block.strip > 8 && part > 0.99) drawVector(context, vectors.row(t), to.x + g.block.tile.w + 4, to.y, g.block.strip - 4, g.block.tile.h, top, dark);
  });
}

/** A vector as a strip of cells around zero. */
function drawVector(context: CanvasRenderingContext2D, vector: ArrayLike<number>, x: number, y: number, w: number, h: number, top: number, dark: boolean): void {
  const wide = w / vector.length;
  for (let d = 0; d < vector.length; d++) {
    context.fillStyle = diverging(vector[d] / top, dark);
    context.fillRect(x + d * wide, y, wide + 0.3, h);
  }
}

const heats = new WeakMap<object, HTMLCanvasElement>();

/** One layer's weights as a picture with a pixel for each cell, made once: a layer that is chosen draws all maps anew. */
function heatOf(example: Example, cells: number[], weights: ArrayLike<number>, top: number): HTMLCanvasElement {
  const made = document.createElement("canvas");
  [made.height, made.width] = (example.tokens[cells[0]]?.cell && example.input.grid) || [1, Math.max(1, cells.length)];
  const context = made.getContext("2d")!;
  const image = context.createImageData(made.width, made.height);
  cells.forEach((t, i) => {
    const [row, column] = example.tokens[t].cell ?? [0, i];
    putCividis(image.data, 4 * (row * made.width + column), weights[t] / top);
  });
  context.putImageData(image, 0, 0);
  return made;
}

/** One layer's weights below its ring: the picture's grid, or the sentence in a row. */
export function drawMap({ context, g, example, dark, picture }: Painter, l: number, now: number, weights: ArrayLike<number>, cells: number[]): void {
  const { x, y, w, h } = mapOf(g, l, now);
  const top = Math.max(1 / example.tokens.length, ...cells.map((t) => (example.tokens[t].role === "content" ? weights[t] : 0)));
  let heat = heats.get(weights);
  if (!heat) heats.set(weights, (heat = heatOf(example, cells, weights, top)));
  context.fillStyle = diverging(0, dark);
  context.fillRect(x, y, w, h);
  if (picture && example.input.grid) {
    context.drawImage(grey(picture), x, y, w, h);
    context.globalAlpha = 0.74;
  }
  context.imageSmoothingEnabled = false;
  context.drawImage(heat, x, y, w, h);
  context.imageSmoothingEnabled = true;
  context.globalAlpha = 1;
  if (!example.input.grid && w / cells.length >= LETTER && h > 30) cells.forEach((t, i) => writeUp(context, example.tokens[t].text, cellAt(g, example, cells, i, l, now), weights[t] / top));
}

/** A word from the foot of its cell upwards, cut where the cell ends. */
function writeUp(context: CanvasRenderingContext2D, word: string, box: Box, share: number): void {
  context.save();
  context.translate(box.x + box.w / 2, box.y + box.h - 3);
  context.rotate(-Math.PI / 2);
  context.font = "11px system-ui, 'Noto Sans', 'DejaVu Sans', sans-serif";
  context.textBaseline = "middle";
  context.fillStyle = inkOn(share);
  let text = word;
  while (text.length > 1 && context.measureText(text).width > box.h - 5) text = `${text.replace(/…$/, "").slice(0, -1)}…`;
  context.fillText(text, 0, 0);
  context.restore();
}

/** Where token `cells[i]` lies in the map of a layer. */
export function cellAt(g: Geometry, example: Example, cells: number[], i: number, l: number, now: number): Box {
  const cell = example.tokens[cells[i]].cell;
  const [rows, columns] = (cell && example.input.grid) || [1, cells.length];
  const [row, column] = cell ?? [0, i];
  const map = mapOf(g, l, now);
  const [w, h] = [map.w / columns, map.h / rows];
  return { x: map.x + column * w, y: map.y + row * h, w, h };
}
