/** How two inputs' class tokens drift apart: the cosine of their states, layer by layer. */
import { open } from "../blocks";
import type { Example, ModelCard } from "../data";
import { cosine, layerNorm, rmsNorm } from "./basic";
import { story } from "./story";

export interface Drift {
  read: number[]; // as the answer reads the states: after the final norm, which keeps one large number from ruling the cosine
  raw: number[] | null; // without the norm, where the model has one
}

export function driftOf(m: ModelCard, e: Example): Drift | null {
  if (!e.contrast || story(e) !== "class") return null; // all other tokens begin apart
  const [states, other] = [open(e.layers.states), open(e.contrast.states)];
  const apart = (change: (x: Float64Array) => ArrayLike<number>) => Array.from({ length: m.depth + 1 }, (_, l) => cosine(change(states.row(l)), change(other.row(l))));
  const raw = apart((x) => x);
  const norm = m.shared.final_norm;
  if (!norm) return { read: raw, raw: null };
  const [weight, bias] = [open(norm.weight).all(), norm.bias ? open(norm.bias).all() : null];
  return { read: apart((x) => (norm.kind === "rms" ? rmsNorm(x, weight, norm.eps) : layerNorm(x, weight, bias, norm.eps))), raw };
}
