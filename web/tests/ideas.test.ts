import { describe, expect, it } from "vitest";
import { alibi, quadtree, reached, receptive, sines } from "../src/demos/ideas";
import { cosine } from "../src/maths/basic";

describe("demonstrations", () => {
  it("one layer of windows reaches one window, the next its neighbours, some more all", () => {
    for (const start of [0, 65, 143]) {
      expect(reached(12, 4, 1, start).size).toBe(16);
      expect(reached(12, 4, 2, start).has(start)).toBe(true);
    }
    expect(reached(12, 4, 2, 65).size).toBeGreaterThan(16);
    expect(reached(12, 4, 6, 65).size).toBe(144);
  });
  it("k convolutions of 3x3 see a square of 2k + 1, cut off at the border", () => {
    expect(receptive(12, 2, 65).size).toBe(25);
    expect(receptive(12, 2, 0).size).toBe(9);
    expect(receptive(12, 11, 0).size).toBe(144);
  });
  it("squares cover the picture once, and are cut where it changes", () => {
    const grey = Float64Array.from({ length: 64 * 64 }, (_, i) => (i % 64 > 40 && i > 2000 ? 1 : 0));
    const found = quadtree(grey, 64, 0.05);
    expect(found.reduce((sum, square) => sum + square.size ** 2, 0)).toBe(64 * 64);
    expect(found.length).toBeGreaterThan(4);
    expect(quadtree(new Float64Array(64 * 64), 64, 0.05)).toEqual([{ x: 0, y: 0, size: 64 }]);
  });
  it("ALiBi's shares sum to one and fall by exp(-slope) a word", () => {
    const shares = alibi(9, 4, 0.5);
    expect(shares.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
    expect(shares[5] / shares[4]).toBeCloseTo(Math.exp(-0.5), 12);
    expect(alibi(9, 4, 0)[0]).toBeCloseTo(1 / 9, 12);
  });
  it("near places have like vectors", () => {
    expect(cosine(sines(2, 2), sines(2, 3))).toBeGreaterThan(cosine(sines(2, 2), sines(7, 7)));
  });
});
