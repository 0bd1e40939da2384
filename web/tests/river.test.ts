import { describe, expect, it } from "vitest";
import { covered, geometry, mapOf, wayUp } from "../src/river/geometry";

const picture = { count: 196, grid: [14, 14] as [number, number], letters: 3, scale: 1 };
const sentence = { count: 17, grid: null, letters: 8, scale: 1 };

describe("maps of the layers", () => {
  it.each([
    { ...picture, width: 1440, height: 330, depth: 12, beside: true },
    { ...picture, width: 1000, height: 270, depth: 12, beside: true },
    { ...picture, width: 1440, height: 330, depth: 24, beside: true },
    { ...sentence, width: 1440, height: 330, depth: 6, beside: true },
    { ...sentence, width: 1440, height: 160, depth: 6, beside: true },
    { ...picture, width: 1440, height: 330, depth: 48, beside: false }, // no room is left
    { ...picture, width: 360, height: 250, depth: 12, beside: false }, // one map is all that there is room for
  ])("$width px, $depth layers of $count tokens", ({ width, height, beside, ...content }) => {
    const g = geometry(width, height, content);
    expect(g.aside !== null).toBe(beside);
    for (const now of [0, 1, content.depth >> 1, content.depth - 1]) {
      const shown = g.layers.map((_, l) => l).filter((l) => !covered(g, l, now));
      if (beside) expect(shown.length).toBe(content.depth);
      const boxes = shown.map((l) => mapOf(g, l, now));
      for (let i = 1; i < boxes.length; i++) expect(boxes[i].x).toBeGreaterThan(boxes[i - 1].x + boxes[i - 1].w);
      const own = mapOf(g, now, now);
      if (g.large) expect(own.w).toBeCloseTo(g.large.w);
      for (const box of boxes) {
        expect(box.x).toBeGreaterThanOrEqual(g.layers[0] - g.map.w / 2 - 1e-9);
        expect(box.x + box.w).toBeLessThanOrEqual(g.layers[g.layers.length - 1] + Math.max(g.map.w / 2, g.alone ? own.w : 0) + 1e-9);
        expect(box.y).toBeGreaterThan(g.gold);
      }
    }
  });

  /** Points of a way that begins at `from`: straight up, then a curve. */
  function points(way: string, from: { x: number; y: number }): [number, number][] {
    const numbers = way.match(/-?[\d.]+(e-?\d+)?/g)!.map(Number);
    const curve = numbers.slice(-6);
    const first = [from.x, numbers.length > 6 ? numbers[0] : from.y];
    const at = (u: number, k: number) => (1 - u) ** 3 * first[k] + 3 * u * (1 - u) ** 2 * curve[k] + 3 * u * u * (1 - u) * curve[2 + k] + u ** 3 * curve[4 + k];
    return [[from.x, from.y], ...Array.from({ length: 101 }, (_, i): [number, number] => [at(i / 100, 0), at(i / 100, 1)])];
  }

  it("the ways from the others cross no part of the large one", () => {
    const depth = 12;
    for (const [width, height] of [[1440, 330], [1280, 290], [1000, 270], [1920, 410]]) {
      const g = geometry(width, height, { ...picture, depth });
      for (let now = 0; now < depth; now++) {
        const large = mapOf(g, now, now);
        for (let l = 0; l < depth; l++) {
          if (l === now) continue;
          const map = mapOf(g, l, now);
          for (const x of [map.x, map.x + map.w / 2, map.x + map.w]) {
            const from = { x, y: map.y + 2 };
            const inside = points(wayUp(g, l, now, from, g.layers[l]), from).filter(([px, py]) => px > large.x && px < large.x + large.w && py > large.y);
            expect(inside, `${width} px, layer ${l} while ${now} is shown`).toEqual([]);
          }
        }
      }
    }
  });

  it.each([[360, 250], [390, 250], [430, 250]])("one map of a picture leaves no empty strip beside it: %i px", (width, height) => {
    const g = geometry(width, height, { ...picture, depth: 12 });
    expect(g.alone).toBe(true);
    const strip = g.layers[11] + g.map.w / 2 - (g.block.x + g.block.w) - g.large!.w;
    expect(strip).toBeLessThan(30); // rings must stand apart, or it were none
    for (let l = 1; l < 12; l++) expect(g.layers[l] - g.layers[l - 1]).toBeGreaterThan(2 * g.ring);
  });
});
