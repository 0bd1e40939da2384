/** Where the parts of the river lie: picture, tokens, class token, one ring a layer with its map, answers. In pixels. */

export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** The tokens of the input, one tile each, in rows and columns that are read from top to bottom. */
export interface Block extends Box {
  rows: number;
  columns: number;
  tile: Box; // size of one tile; x and y: from one to the next
  words: boolean; // tiles are wide enough for a word
  strip: number; // width of the vector beside each tile, where there is one column; 0: none
}

export interface Geometry {
  width: number;
  height: number;
  narrow: boolean;
  alone: boolean; // only the map of the layer that is shown is drawn
  picture: Box | null;
  block: Block;
  gold: number; // height of the class token's line
  ring: number; // radius
  start: { x: number; y: number }; // the class token before layer 0
  layers: number[]; // centres of the rings
  map: { y: number; w: number; h: number }; // one below each ring
  large: { w: number; h: number } | null; // the map of the layer that is shown, where a map has little room beside the others
  aside: { w: number; h: number } | null; // the other maps, which make room for the large one; null: it lies over them
  answers: Box;
  labels: number; // base line of the words below
  scale: number; // of type, beside its usual size
}

export interface Content {
  count: number; // content tokens and whatever else stands in the block
  depth: number;
  grid: [number, number] | null; // rows and columns of patches; null for a sentence
  letters: number; // of the longest word
  scale: number; // of type, beside its usual size
}

const PAD = 14;
const LABEL = 18;
export const LETTER = 9; // px that a cell must be wide, for its word to be written into it upright
const LEGIBLE = 40; // px that a map is wide, below which nothing is seen in it
const LEAST = 14; // px that a map keeps when it makes room for a larger one
const SMALLEST = 5; // px, of a ring's radius
const GAP = 5; // px between maps that make room

function blockOf(count: number, at: Box, grid: Content["grid"], letters: number): Block {
  const line = 14;
  const most = Math.max(1, Math.floor(at.h / line));
  const words = !grid && Math.ceil(count / most) * (letters * 6 + 12) <= at.w;
  const gap = words ? 2 : count > 400 ? 0.5 : 1;
  // Few tokens make a column; many patches stay in the picture's rows, or nobody would know them again.
  const few = words ? Math.ceil(count / most) : grid && count <= 16 ? 1 : (grid?.[1] ?? Math.ceil(Math.sqrt((count * at.w) / at.h)));
  const columns = Math.max(1, few);
  const rows = Math.ceil(count / columns);
  const size = Math.min(columns === 1 ? 34 : 26, at.h / rows, at.w / columns);
  const step = words ? { x: Math.min(at.w / columns, letters * 6 + 14), y: Math.min(22, at.h / rows) } : { x: size, y: size };
  const strip = columns === 1 && grid ? Math.max(0, at.w - size - 4) : 0;
  const [w, h] = [columns * step.x, rows * step.y];
  return { x: at.x, y: at.y, w, h, rows, columns, words, strip, tile: { x: step.x, y: step.y, w: Math.max(0.5, step.x - gap), h: Math.max(0.5, step.y - gap) } };
}

/** `wider`: px by which picture and patches are that, each, where maps leave room beside them; rings are then smaller. */
export function geometry(width: number, height: number, content: Content, wider = 0): Geometry {
  const { count, depth, grid, letters, scale } = content;
  const ratio = grid && grid[1] / grid[0];
  const narrow = width < 700;
  const answersHeight = narrow ? 58 : 0;
  const body = height - LABEL * scale - answersHeight; // down to the words below
  const ring = wider ? SMALLEST : Math.max(SMALLEST, Math.min(narrow ? 9 : 17, height / 13, (width * 0.5) / depth / 2.6));
  const gold = ring + (narrow ? 16 : 20) * scale;
  const side = Math.min(body - 12, width * (narrow ? 0.16 : 0.18) + wider);
  const picture = ratio === null ? null : { x: PAD, y: 8, w: Math.min(side, side * ratio), h: Math.min(side, side / ratio) };
  if (picture) picture.y = Math.max(8, (body - picture.h) / 2);
  const left = picture ? picture.x + picture.w + (narrow ? 8 : 26) : PAD;
  const top = gold + ring + 10;
  const room = { x: left, y: top, w: width * (narrow ? (ratio === null ? 0.3 : 0.17) : ratio === null ? 0.2 : 0.085) + wider, h: Math.max(LABEL, body - top - 2) };
  const block = blockOf(count, room, grid, letters);
  const answersWidth = narrow ? width - 2 * PAD : Math.max(190, Math.min(300, width * 0.19));
  const right = narrow ? width - PAD : width - PAD - answersWidth - 26;
  const from = block.x + Math.max(block.w + block.strip, 2 * ring) + (narrow ? 6 : 20);
  const space = (right - from) / depth;
  const layers = Array.from({ length: depth }, (_, l) => from + space * (l + 0.5));
  const mapTop = gold + ring + (narrow ? 10 : Math.max(16, (body - gold - ring) * 0.22));
  const room2 = body - mapTop - 4;
  const w = ratio === null ? Math.min(space * 0.9, 420) : Math.min(space - (narrow ? 2 : 8), room2 * ratio);
  // Words are written into the cells of a sentence, upright, where there is room for some letters.
  const map = { y: mapTop, w, h: ratio === null ? Math.min(room2, Math.max(26, Math.min(84, room2 * 0.6))) : w / ratio };
  const wide = ratio === null ? Math.min(count * 18, width * 0.5) : Math.min(room2 * ratio, width * 0.2);
  // On a narrow screen one map is all that there is room for: that of the layer that is shown.
  const only = narrow && w < (ratio === null ? count * LETTER : LEGIBLE) ? Math.min(right - from, ratio === null ? count * 22 : room2 * ratio) : 0;
  // What that map does not fill is the picture's and the patches', as long as the rings stand apart.
  const spare = only && picture ? right - from - GAP - Math.max(only, depth * 2 * (SMALLEST + 1)) : 0;
  if (!wider && spare > 8) return geometry(width, height, content, spare / 2);
  const large = only ? { w: only, h: ratio === null ? Math.min(room2, 84) : only / ratio } : !narrow && wide > 1.35 * w ? { w: wide, h: ratio === null ? map.h : wide / ratio } : null;
  map.y = Math.max(mapTop, body - map.h - 6);
  const slim = large && !only && depth > 1 ? Math.min(w, (space * (depth - 1) + w - large.w) / (depth - 1) - GAP) : 0;
  const aside = slim >= LEAST ? { w: slim, h: ratio === null ? map.h : slim / ratio } : null;
  return {
    width, height, narrow, alone: only > 0, picture, block, gold, ring, layers, map, large, aside,
    start: { x: block.x + Math.max(ring, block.w / 2), y: gold },
    answers: narrow ? { x: PAD, y: height - answersHeight, w: answersWidth, h: answersHeight } : { x: width - PAD - answersWidth, y: 8, w: answersWidth, h: body - 8 },
    labels: height - answersHeight - 5, scale,
  }; // prettier-ignore
}

/** Where the map of a layer lies, `now` being the layer that is shown: it may be larger, between its neighbours' or over
 * them. */
export function mapOf(g: Geometry, l: number, now: number): Box {
  const left = g.layers[0] - g.map.w / 2;
  const right = g.layers[g.layers.length - 1] + g.map.w / 2;
  const foot = g.map.y + g.map.h;
  if (g.aside && g.large) {
    const slot = (right - left - g.large.w) / (g.layers.length - 1); // a map and the gap beside it
    const { w, h } = l === now ? g.large : g.aside;
    const x = left + l * slot + (l > now ? g.large.w - w : 0);
    return { x, y: foot - h, w, h };
  }
  const { w, h } = (l === now && g.large) || g.map;
  return { x: Math.max(left, Math.min(right - w, g.layers[l] - w / 2)), y: foot - h, w, h };
}

/** Where ways from other maps turn aside: above the large one, between whose neighbours they go straight up. */
export const turned = (g: Geometry, now: number, y: number): number => Math.min(y, mapOf(g, now, now).y - 4);

/** The way from a point of a layer's map, or from its upper edge, up to its ring at `x`. */
export function wayUp(g: Geometry, l: number, now: number, from: { x: number; y: number }, x: number): string {
  const end = g.gold + g.ring - 1;
  if (g.aside && l !== now) return `V ${turned(g, now, from.y)} C ${from.x} ${end + 4}, ${x} ${end + 12}, ${x} ${end}`;
  const bend = Math.max(8, (from.y - end) * 0.5);
  return `C ${from.x} ${from.y - bend}, ${x} ${end + bend * 0.8}, ${x} ${end}`;
}

/** Whether the large map of the layer that is shown lies over that of another one. */
export function covered(g: Geometry, l: number, now: number): boolean {
  if (!g.large || g.aside || l === now) return false;
  if (g.alone) return true;
  const [box, over] = [mapOf(g, l, now), mapOf(g, now, now)];
  return box.x < over.x + over.w + 4 && box.x + box.w > over.x - 4;
}

/** Upper left corner of tile `i` of a block. */
export const tileAt = (block: Block, i: number): { x: number; y: number } => ({
  x: block.x + (i % block.columns) * block.tile.x,
  y: block.y + Math.floor(i / block.columns) * block.tile.y,
});

/** Which tile lies there; -1 for none. */
export function tileUnder(block: Block, x: number, y: number): number {
  const [column, row] = [Math.floor((x - block.x) / block.tile.x), Math.floor((y - block.y) / block.tile.y)];
  return column < 0 || column >= block.columns || row < 0 || row >= block.rows ? -1 : row * block.columns + column;
}

/** A round vessel filled to a share: the part of the disc below the level. */
export function filled(x: number, y: number, r: number, share: number): string {
  const part = Math.min(1, Math.max(0, share));
  if (part <= 0.002) return "";
  if (part >= 0.998) return `M ${x - r} ${y} A ${r} ${r} 0 1 0 ${x + r} ${y} A ${r} ${r} 0 1 0 ${x - r} ${y} Z`;
  const level = r - 2 * r * part;
  const half = Math.sqrt(r * r - level * level);
  return `M ${x - half} ${y + level} A ${r} ${r} 0 ${part > 0.5 ? 1 : 0} 0 ${x + half} ${y + level} Z`;
}
