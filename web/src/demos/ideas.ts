/** The arithmetic of the demonstrations, each a few lines that a test can do again. */

/** Patches that have reached `start` after some layers of attention within windows, shifted by half in every second. */
export function reached(side: number, window: number, layers: number, start: number): Set<number> {
  const room = (cell: number, shift: number) => {
    const at = (x: number) => Math.floor((x + shift) / window);
    return at(cell % side) + 1000 * at(Math.floor(cell / side));
  };
  let found = new Set([start]);
  for (let layer = layers - 1; layer >= 0; layer--) {
    const shift = layer % 2 ? window / 2 : 0;
    const rooms = new Set([...found].map((cell) => room(cell, shift)));
    found = new Set(Array.from({ length: side * side }, (_, i) => i).filter((cell) => rooms.has(room(cell, shift))));
  }
  return found;
}

/** Cells that a stack of 3x3 convolutions has seen. */
export function receptive(side: number, layers: number, start: number): Set<number> {
  const [x, y] = [start % side, Math.floor(start / side)];
  const near = (cell: number) => Math.max(Math.abs((cell % side) - x), Math.abs(Math.floor(cell / side) - y)) <= layers;
  return new Set(Array.from({ length: side * side }, (_, i) => i).filter(near));
}

/** Sines and cosines of row and column: the vector of a place. */
export function sines(row: number, column: number, size = 32): Float64Array {
  const half = size / 2;
  return Float64Array.from({ length: size }, (_, i) => {
    const angle = (i < half ? row : column) / 100 ** ((2 * Math.floor((i % half) / 2)) / half);
    return i % 2 ? Math.cos(angle) : Math.sin(angle);
  });
}

export interface Square {
  x: number;
  y: number;
  size: number;
}

/** Squares that are cut in four until their grey values differ (standard deviation) by no more than `most`. */
export function quadtree(grey: ArrayLike<number>, side: number, most: number, least = 4): Square[] {
  function cut(x: number, y: number, size: number): Square[] {
    let [sum, squares] = [0, 0];
    for (let j = y; j < y + size; j++)
      for (let i = x; i < x + size; i++) {
        sum += grey[j * side + i];
        squares += grey[j * side + i] ** 2;
      }
    const spread = Math.sqrt(Math.max(0, squares / size ** 2 - (sum / size ** 2) ** 2));
    if (size <= least || spread <= most) return [{ x, y, size }];
    const half = size / 2;
    return [cut(x, y, half), cut(x + half, y, half), cut(x, y + half, half), cut(x + half, y + half, half)].flat();
  }
  return cut(0, 0, side);
}

/** Shares of attention where all scores are equal but for `slope` times the distance. */
export function alibi(count: number, reader: number, slope: number): number[] {
  const powers = Array.from({ length: count }, (_, i) => Math.exp(-slope * Math.abs(i - reader)));
  const all = powers.reduce((a, b) => a + b, 0);
  return powers.map((x) => x / all);
}
