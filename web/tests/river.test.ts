import { describe, expect, it } from "vitest";
import { covered, geometry, mapOf } from "../src/river/geometry";

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
});
