/** Where the words above the line stand: what the token is called, and behind it the flag of the layer where the answer rises most. */
import type { Geometry } from "./geometry";

/** How wide a letter of these words is, in px, at most. */
export const letterWidth = (presenter: boolean): number => (presenter ? 11 : 6.9);

export interface Label {
  x: number;
  anchor: "start" | "middle";
  end: number; // where it ends, at the right
}

/** Over its ring, or from its own tile on; never beyond the left edge. */
export function nameLabel(g: Geometry, name: string, letter: number, tile: number | null): Label {
  const width = name.length * letter;
  if (tile !== null) return { x: Math.max(tile, g.block.x), anchor: "start", end: Math.max(tile, g.block.x) + width };
  const x = Math.max(g.start.x, width / 2 + 2);
  return { x, anchor: "middle", end: x + width / 2 };
}

/** The long words where there is room for them behind the name, else the short; as near their layer as they can be. */
export function flagLabel(g: Geometry, flag: { long: string; short: string }, letter: number, layer: number, name: Label): { text: string; x: number } {
  const [from, to] = g.narrow ? [g.start.x + 16, g.width - 8] : [name.end + 8, g.answers.x - 8];
  const text = `⚑ ${g.narrow || (flag.long.length + 2) * letter > to - from ? flag.short : flag.long}`;
  const width = text.length * letter;
  return { text, x: Math.max(from, Math.min(to - width, g.layers[layer] - width / 2)) };
}
