/** Where a number comes from: every number on the page has an address, and an address an origin.
 *
 * An address is a name and places, joined by colons: `score:2:0:0:17` is layer 2, head 0, query token 0, key token 17.
 * `recompute` does an origin's arithmetic again, from the numbers that it names and from nothing else.
 */
import { gelu, layerNorm, relu, rmsNorm, softmax } from "./basic";

export type Address = string;

export type Origin =
  | { op: "given"; why: "learned" | "pixel" | "trace" | "constant" | "other" }
  | { op: "sum"; terms: Address[] }
  | { op: "mean"; terms: Address[] }
  | { op: "dot"; pairs: [Address, Address][]; plus: Address | null; times: number }
  | { op: "softmax"; among: Address[]; at: number }
  | { op: "norm"; kind: "layer" | "rms"; among: Address[]; at: number; weight: Address; bias: Address | null; eps: number }
  | { op: "gelu" | "relu" | "sigmoid"; of: Address };

export interface Source {
  value(address: Address): number;
  origin(address: Address): Origin;
  has(address: Address): boolean;
}

export const address = (name: string, ...places: number[]): Address => [name, ...places].join(":");

export function parse(address: Address): { name: string; places: number[] } {
  const [name, ...places] = address.split(":");
  return { name, places: places.map(Number) };
}

/** `count` addresses that differ in their last place. */
export const along = (count: number, name: string, ...places: number[]): Address[] =>
  Array.from({ length: count }, (_, i) => address(name, ...places, i));

export function recompute(origin: Origin, value: (address: Address) => number): number | null {
  switch (origin.op) {
    case "given":
      return null;
    case "sum":
      return origin.terms.reduce((total, term) => total + value(term), 0);
    case "mean":
      return origin.terms.reduce((total, term) => total + value(term), 0) / origin.terms.length;
    case "dot":
      return (
        origin.pairs.reduce((total, [a, b]) => total + value(a) * value(b), 0) * origin.times +
        (origin.plus ? value(origin.plus) : 0)
      );
    case "softmax":
      return softmax(origin.among.map(value))[origin.at];
    case "norm": {
      const x = origin.among.map(value);
      const weight = x.map(() => value(origin.weight));
      if (origin.kind === "rms") return rmsNorm(x, weight, origin.eps)[origin.at];
      const bias = x.map(() => (origin.bias ? value(origin.bias) : 0));
      return layerNorm(x, weight, bias, origin.eps)[origin.at];
    }
    case "gelu":
      return gelu(value(origin.of));
    case "relu":
      return relu(value(origin.of));
    case "sigmoid":
      return 1 / (1 + Math.exp(-value(origin.of)));
  }
}

/** The addresses that an origin names, in the order in which they are shown. */
export function named(origin: Origin): Address[] {
  switch (origin.op) {
    case "given":
      return [];
    case "sum":
    case "mean":
      return origin.terms;
    case "dot":
      return [...origin.pairs.flat(), ...(origin.plus ? [origin.plus] : [])];
    case "softmax":
      return origin.among;
    case "norm":
      return [...origin.among, origin.weight, ...(origin.bias ? [origin.bias] : [])];
    default:
      return [origin.of];
  }
}
