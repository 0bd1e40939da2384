/** How one vector comes of many: by a class token, or, where a model has none, in another way at the end. */
import { open } from "../blocks";
import type { Example } from "../data";
import { dot, largest } from "./basic";

export type Story = "class" | "last" | "sum" | "largest" | "query" | "other";

export function story(e: Example): Story {
  if (e.tokens.some((token) => token.role === "class")) return "class";
  if (!e.pooled) return "other";
  const weights = open(e.pooled.weights).all();
  return e.pooled.kind === "sum" && weights.filter((w) => w !== 0).length === 1 ? "last" : e.pooled.kind;
}

/** How many tokens the vector is made of. */
export const pooledCount = (e: Example): number => (e.pooled ? open(e.pooled.weights).all().filter((w) => w !== 0).length : 0);

export interface PooledRow {
  t: number | null; // null: all tokens without a row of their own
  count: number;
  weight: number;
  state: number | null; // number d of its state
  given: number | null; // weight x state
  without: number | null; // cosine of the vector to the one without it
}

/** The tokens that give the vector most, the watched one and those of special roles, all others together; number `d`. */
export function pooledRows(e: Example, d: number, most = 8): PooledRow[] {
  const pooled = e.pooled!;
  const weights = open(pooled.weights).all();
  const states = pooled.states ? open(pooled.states) : null;
  const vector = pooled.pooled ? open(pooled.pooled).all() : null;
  const without = pooled.without ? open(pooled.without).all() : null;
  const part = pooled.kind === "sum" && states && vector ? weights.map((w, t) => (w ? w * dot(states.row(t), vector) : -Infinity)) : weights;
  const special = e.tokens.map((_, t) => t).filter((t) => t === e.watched || e.tokens[t].role === "class");
  const shown = [...special, ...largest(part, most).filter((t) => weights[t] !== 0 && !special.includes(t))].slice(0, most);
  const row = (t: number): PooledRow => {
    const state = states ? states.at(t, d) : null;
    return { t, count: 1, weight: weights[t], state, given: pooled.kind === "sum" && state !== null ? weights[t] * state : null, without: without ? without[t] : null };
  };
  const rest = e.tokens.map((_, t) => t).filter((t) => weights[t] !== 0 && !shown.includes(t));
  if (!rest.length) return shown.map(row);
  const sum = (of: (t: number) => number) => rest.reduce((a, t) => a + of(t), 0);
  const given = pooled.kind === "sum" && states ? sum((t) => weights[t] * states.at(t, d)) : null;
  return [...shown.map(row), { t: null, count: rest.length, weight: sum((t) => weights[t]), state: null, given, without: null }];
}
