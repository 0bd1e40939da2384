/** Origins of every number in a toy's forward, down to pixels and weights. */
import { open, type Numbers } from "../blocks";
import type { ToyNorm, LinearWeights, ToyWeights } from "../data";
import type { Run } from "./forward";
import { address, along, parse, type Address, type Origin, type Source } from "./origin";

interface Kind {
  value: (...places: number[]) => number;
  origin: (...places: number[]) => Origin;
}

const learned = (): Origin => ({ op: "given", why: "learned" });

function product(count: number, a: (i: number) => Address, b: (i: number) => Address, plus: Address | null, times = 1): Origin {
  return { op: "dot", pairs: Array.from({ length: count }, (_, i) => [a(i), b(i)]), plus, times };
}

/** Names of the weights and how to look them up: `query.w:l:i:j`, `query.b:l:i`. */
function weightKinds(weights: ToyWeights): Record<string, Kind> {
  const kinds: Record<string, Kind> = {};
  const put = (name: string, value: Kind["value"]) => (kinds[name] = { value, origin: learned });
  const single = (name: string, p: LinearWeights | ToyNorm) => {
    put(`${name}.w`, (...i) => open(p.weight).at(...i));
    put(`${name}.b`, (i) => open(p.bias).at(i));
  };
  single("stem", weights.stem);
  single("finalnorm", weights.final_norm);
  single("head", weights.head);
  for (const part of ["norm1", "query", "key", "value", "output", "norm2", "up", "down"] as const) {
    put(`${part}.w`, (l, ...i) => open(weights.blocks[l][part].weight).at(...i));
    put(`${part}.b`, (l, i) => open(weights.blocks[l][part].bias).at(i));
  }
  return kinds;
}

function inputKinds(weights: ToyWeights, pixels: Numbers, run: Run, D: number): Record<string, Kind> {
  const { patch, channels } = weights;
  const columns = pixels.shape[2] / patch;
  const pixel = (token: number, i: number): Address => {
    const p = run.kept[token] - 1;
    const [c, rest] = [Math.floor(i / (patch * patch)), i % (patch * patch)];
    const y = Math.floor(p / columns) * patch + Math.floor(rest / patch);
    return address("pixel", c, y, (p % columns) * patch + (rest % patch));
  };
  const area = channels * patch * patch;
  return {
    pixel: { value: (c, y, x) => pixels.at(c, y, x), origin: () => ({ op: "given", why: "pixel" }) },
    before: {
      value: (t, d) => run.before[t][d],
      origin: (t, d) =>
        run.kept[t] === 0
          ? learned()
          : product(area, (i) => address("stem.w", d, i), (i) => pixel(t, i), address("stem.b", d)),
    },
    position: { value: (t, d) => run.position[t][d], origin: learned },
    after: {
      value: (t, d) => run.after[t][d],
      origin: (t, d) => ({ op: "sum", terms: [address("before", t, d), address("position", t, d)] }),
    },
    state: {
      value: (l, t, d) => (l === run.layers.length ? run.layers[l - 1].output[t][d] : run.layers[l].input[t][d]),
      origin: (l, t, d) =>
        l === 0
          ? { op: "sum", terms: [address("before", t, d), address("position", t, d)] }
          : { op: "sum", terms: [address("middle", l - 1, t, d), address("feedforward", l - 1, t, d)] },
    },
    final: {
      value: (t, d) => run.final[t][d],
      origin: (t, d) => ({
        op: "norm",
        kind: "layer",
        among: along(D, "state", run.layers.length, t),
        at: d,
        weight: address("finalnorm.w", d),
        bias: address("finalnorm.b", d),
        eps: weights.eps,
      }),
    },
  };
}

function attentionKinds(run: Run, heads: number, D: number, eps: number): Record<string, Kind> {
  const K = D / heads;
  const L = run.kept.length;
  const projected = (name: "queries" | "keys" | "values", weight: string): Kind => ({
    value: (l, h, t, k) => run.layers[l][name][h][t][k],
    origin: (l, h, t, k) =>
      product(D, (i) => address(`${weight}.w`, l, h * K + k, i), (i) => address("normed1", l, t, i), address(`${weight}.b`, l, h * K + k)),
  });
  return {
    normed1: {
      value: (l, t, d) => run.layers[l].normed1[t][d],
      origin: (l, t, d) => normOf(along(D, "state", l, t), d, address("norm1.w", l, d), address("norm1.b", l, d), eps),
    },
    q: projected("queries", "query"),
    k: projected("keys", "key"),
    v: projected("values", "value"),
    score: {
      value: (l, h, i, j) => run.layers[l].scores[h][i][j],
      origin: (l, h, i, j) =>
        product(K, (k) => address("q", l, h, i, k), (k) => address("k", l, h, j, k), null, 1 / Math.sqrt(K)),
    },
    weight: {
      value: (l, h, i, j) => run.layers[l].weights[h][i][j],
      origin: (l, h, i, j) => ({ op: "softmax", among: along(L, "score", l, h, i), at: j }),
    },
    share: {
      value: (l, i, j) => run.layers[l].weights.reduce((total, head) => total + head[i][j], 0) / heads,
      origin: (l, i, j) => meanOverHeads(heads, l, i, j),
    },
    context: {
      value: (l, h, t, k) => run.layers[l].context[h][t][k],
      origin: (l, h, t, k) => product(L, (j) => address("weight", l, h, t, j), (j) => address("v", l, h, j, k), null),
    },
    headout: {
      value: (l, h, t, d) => run.layers[l].headOut[h][t][d],
      origin: (l, h, t, d) =>
        product(K, (k) => address("context", l, h, t, k), (k) => address("output.w", l, d, h * K + k), null),
    },
    attention: {
      value: (l, t, d) => run.layers[l].attention[t][d],
      origin: (l, t, d) => ({
        op: "sum",
        terms: [...Array.from({ length: heads }, (_, h) => address("headout", l, h, t, d)), address("output.b", l, d)],
      }),
    },
  };
}

/** The mean over heads of the weight that token i gives to token j. */
export function meanOverHeads(heads: number, l: number, i: number, j: number): Origin {
  return { op: "mean", terms: Array.from({ length: heads }, (_, h) => address("weight", l, h, i, j)) };
}

function normOf(among: Address[], at: number, weight: Address, bias: Address, eps: number): Origin {
  return { op: "norm", kind: "layer", among, at, weight, bias, eps };
}

function feedforwardKinds(weights: ToyWeights, run: Run, D: number): Record<string, Kind> {
  const F = weights.blocks[0].up.weight.shape[0];
  const C = weights.head.weight.shape[0];
  return {
    middle: {
      value: (l, t, d) => run.layers[l].middle[t][d],
      origin: (l, t, d) => ({ op: "sum", terms: [address("state", l, t, d), address("attention", l, t, d)] }),
    },
    normed2: {
      value: (l, t, d) => run.layers[l].normed2[t][d],
      origin: (l, t, d) =>
        normOf(along(D, "middle", l, t), d, address("norm2.w", l, d), address("norm2.b", l, d), weights.eps),
    },
    up: {
      value: (l, t, f) => run.layers[l].up[t][f],
      origin: (l, t, f) => product(D, (i) => address("up.w", l, f, i), (i) => address("normed2", l, t, i), address("up.b", l, f)),
    },
    active: {
      value: (l, t, f) => run.layers[l].active[t][f],
      origin: (l, t, f) => ({ op: weights.activation, of: address("up", l, t, f) }),
    },
    feedforward: {
      value: (l, t, d) => run.layers[l].feedforward[t][d],
      origin: (l, t, d) =>
        product(F, (f) => address("down.w", l, d, f), (f) => address("active", l, t, f), address("down.b", l, d)),
    },
    logit: {
      value: (c) => run.logits[c],
      origin: (c) => product(D, (i) => address("head.w", c, i), (i) => address("final", run.watched, i), address("head.b", c)),
    },
    answer: {
      value: (c) => run.probabilities[c],
      origin: (c) => ({ op: "softmax", among: along(C, "logit"), at: c }),
    },
  };
}

/** Every number of a toy's run. `answer:c` and `logit:c` count classes as the model does. */
export function toySource(weights: ToyWeights, pixels: Numbers, heads: number, run: Run): Source {
  const D = run.after[0].length;
  // up.w and friends are weights; up, down without a suffix are values: the names never meet.
  const kinds: Record<string, Kind> = {
    ...weightKinds(weights),
    ...inputKinds(weights, pixels, run, D),
    ...attentionKinds(run, heads, D, weights.eps),
    ...feedforwardKinds(weights, run, D),
  };
  return sourceOf(kinds);
}

export function sourceOf(kinds: Record<string, Kind>): Source {
  const find = (full: Address): [Kind, number[]] => {
    const { name, places } = parse(full);
    const kind = kinds[name];
    if (!kind) throw new Error(`no number has the address ${full}`);
    return [kind, places];
  };
  return {
    value: (full) => {
      const [kind, places] = find(full);
      return kind.value(...places);
    },
    origin: (full) => {
      const [kind, places] = find(full);
      return kind.origin(...places);
    },
    has: (full) => {
      try {
        const [kind, places] = find(full);
        return kind.value(...places) !== undefined;
      } catch {
        return false;
      }
    },
  };
}

export type { Kind };
