/** Which tokens' keys and values a document holds: all of them, or of each head those that it reads most. */
import { open } from "../blocks";
import type { ClassTokenLayers } from "../data";

export interface Kept {
  all: boolean;
  tokens: (layer: number, head: number) => number[];
  place: (layer: number, head: number, token: number) => number; // in `keys` and `values`; -1: not there
}

export function keptOf(layers: ClassTokenLayers, tokens: number): Kept {
  if (!layers.kept) {
    const every = Array.from({ length: tokens }, (_, t) => t);
    return { all: true, tokens: () => every, place: (_layer, _head, token) => token };
  }
  const kept = open(layers.kept);
  const of = (layer: number, head: number) => [...kept.row(layer, head)];
  return { all: false, tokens: of, place: (layer, head, token) => of(layer, head).indexOf(token) };
}

/** A token's key or value in a head; null where the document does not hold it. */
export function rowOf(layers: ClassTokenLayers, what: "keys" | "values", layer: number, head: number, token: number): Float64Array | null {
  const block = layers[what];
  const place = block ? keptOf(layers, open(block).shape[2]).place(layer, head, token) : -1;
  return block && place >= 0 ? open(block).row(layer, head, place) : null;
}
