/** Origins of the numbers that a document holds for a real model: the class token's row of everything. */
import { open } from "../blocks";
import type { Block, Example, ModelCard, NormWeights } from "../data";
import { add, dot, length } from "./basic";
import { keptOf } from "./kept";
import { address, along, type Address, type Origin, type Source } from "./origin";
import { meanOverHeads, sourceOf, type Kind } from "./toy";

const trace: Origin = { op: "given", why: "trace" };
const learned: Origin = { op: "given", why: "learned" };

function stored(block: Block, origin: Kind["origin"] = () => trace): Kind {
  const numbers = open(block);
  return { value: (...places) => numbers.at(...places), origin };
}

/** A class token's address carries its own position as the token, so that toy and real addresses read alike. */
function watchedOnly(block: Block, watched: number, place: number, origin: Kind["origin"] = () => trace): Kind {
  const numbers = open(block);
  return {
    value: (...places) => (places[place] === watched ? numbers.at(...places.filter((_, i) => i !== place)) : NaN),
    origin: (...places) => (places[place] === watched ? origin(...places) : trace),
  };
}

function normAddresses(name: string, norm: NormWeights): Record<string, Kind> {
  return {
    [`${name}.w`]: stored(norm.weight, () => learned),
    ...(norm.bias ? { [`${name}.b`]: stored(norm.bias, () => learned) } : {}),
  };
}

function normOrigin(norm: NormWeights, name: string, among: Address[], d: number): Origin {
  return {
    op: "norm",
    kind: norm.kind,
    among,
    at: d,
    weight: address(`${name}.w`, d),
    bias: norm.bias ? address(`${name}.b`, d) : null,
    eps: norm.eps,
  };
}

function embeddingKinds(model: ModelCard, example: Example): Record<string, Kind> {
  const { before, position } = example.embeddings;
  const norm = model.shared.embedding_norm;
  const [numbers, sum] = [open(before), afterOf(example)];
  const kinds: Record<string, Kind> = {
    before: { value: (t, d) => numbers.at(t, d), origin: (t) => (example.tokens[t].role === "class" ? learned : trace) },
    after: {
      value: (t, d) => sum(t)[d],
      origin: (t, d) => {
        if (norm && position) return normOrigin(norm, "embeddingnorm", along(model.hidden, "summed", t), d);
        return position ? { op: "sum", terms: [address("before", t, d), address("position", t, d)] } : trace;
      },
    },
  };
  if (position) kinds.position = stored(position, () => learned);
  if (norm && position) {
    Object.assign(kinds, normAddresses("embeddingnorm", norm));
    const places = open(position);
    kinds.summed = {
      value: (t, d) => numbers.at(t, d) + places.at(t, d),
      origin: (t, d) => ({ op: "sum", terms: [address("before", t, d), address("position", t, d)] }),
    };
  }
  return kinds;
}

/** Rows of what enters layer 1: stored, or vector + position. */
export function afterOf(example: Example): (t: number) => Float64Array {
  const { before, position, after } = example.embeddings;
  if (after) return (t) => open(after).row(t);
  const [a, b] = [open(before), position ? open(position) : null];
  return (t) => (b ? add(a.row(t), b.row(t)) : a.row(t));
}

function attentionKinds(model: ModelCard, example: Example, watched: number): Record<string, Kind> {
  const { layers } = example;
  const K = model.head_size;
  const L = example.tokens.length;
  const kinds: Record<string, Kind> = {};
  const kept = keptOf(layers, L);
  const ofToken = (block: Block): Kind => {
    const numbers = open(block);
    return {
      value: (l, h, j, k) => (kept.place(l, h, j) < 0 ? NaN : numbers.at(l, h, kept.place(l, h, j), k)),
      origin: () => trace,
    };
  };
  if (layers.queries) kinds.q = watchedOnly(layers.queries, watched, 2);
  if (layers.keys) kinds.k = ofToken(layers.keys);
  if (layers.values) kinds.v = ofToken(layers.values);
  kinds.score = watchedOnly(layers.scores, watched, 2, (l, h, i, j) =>
    layers.queries && layers.keys && kept.place(l, h, j) >= 0
      ? {
          op: "dot",
          pairs: Array.from({ length: K }, (_, k) => [address("q", l, h, i, k), address("k", l, h, j, k)]),
          plus: model.position.kind === "bias" ? address("distance", l, h, i, j) : null,
          times: model.score_scale,
        }
      : trace,
  );
  if (layers.queries && layers.keys && model.position.kind === "bias") {
    const [scores, queries, keys] = [layers.scores, layers.queries, layers.keys].map(open);
    const product = (l: number, h: number, j: number) => dot(queries.row(l, h), keys.row(l, h, kept.place(l, h, j))) * model.score_scale;
    kinds.distance = { value: (l, h, _, j) => scores.at(l, h, j) - product(l, h, j), origin: () => learned };
  }
  kinds.weight = watchedOnly(layers.weights, watched, 2, (l, h, i, j) => ({ op: "softmax", among: along(L, "score", l, h, i), at: j }));
  const weights = open(layers.weights);
  kinds.share = {
    value: (l, i, j) => (i === watched ? Array.from({ length: model.heads }, (_, h) => weights.at(l, h, j)).reduce((a, b) => a + b, 0) / model.heads : NaN),
    origin: (l, i, j) => meanOverHeads(model.heads, l, i, j),
  };
  if (layers.context) {
    const sums = open(layers.context);
    const brought = (l: number, h: number, k: number) =>
      kept.tokens(l, h).reduce((sum, j, at) => sum + weights.at(l, h, j) * open(layers.values!).at(l, h, at, k), 0);
    // What the tokens bring whose values the page does not hold.
    kinds.rest = { value: (l, h, _, k) => sums.at(l, h, k) - brought(l, h, k), origin: () => trace };
    kinds.context = watchedOnly(layers.context, watched, 2, (l, h, i, k) =>
      layers.values
        ? {
            op: "dot",
            pairs: kept.tokens(l, h).map((j) => [address("weight", l, h, i, j), address("v", l, h, j, k)]),
            plus: kept.all ? null : address("rest", l, h, i, k),
            times: 1,
          }
        : trace,
    );
  }
  kinds.headout = watchedOnly(layers.heads, watched, 2);
  return kinds;
}

function streamKinds(model: ModelCard, example: Example, watched: number): Record<string, Kind> {
  const { layers } = example;
  const { shared, hidden: D, heads: H, depth: N } = model;
  const bias = shared.attention_bias;
  const norms = shared.norms;
  const kinds: Record<string, Kind> = {};
  if (bias) kinds["output.b"] = stored(bias, () => learned);
  kinds.attention = watchedOnly(layers.attention, watched, 1, (l, t, d) => ({
    op: "sum",
    terms: [...Array.from({ length: H }, (_, h) => address("headout", l, h, t, d)), ...(bias ? [address("output.b", l, d)] : [])],
  }));
  kinds.feedforward = watchedOnly(layers.feedforward, watched, 1);
  const normed = (which: "first" | "second", sum: string): Kind["origin"] => (l, t, d) =>
    normOrigin(norms![l][which], `${which}norm${l}`, along(D, sum, l, t), d);
  const plain = (a: string, b: string): Kind["origin"] => (l, t, d) => ({ op: "sum", terms: [address(a, l, t, d), address(b, l, t, d)] });
  norms?.forEach((pair, l) =>
    Object.assign(kinds, normAddresses(`firstnorm${l}`, pair.first), normAddresses(`secondnorm${l}`, pair.second)),
  );
  kinds.middle = watchedOnly(layers.middle, watched, 1, norms ? normed("first", "sum1") : plain("state", "attention"));
  kinds.state = watchedOnly(layers.states, watched, 1, (l, t, d) => {
    if (l === 0) return { op: "sum", terms: [address("after", t, d)] };
    return norms ? normed("second", "sum2")(l - 1, t, d) : plain("middle", "feedforward")(l - 1, t, d);
  });
  if (norms) {
    const [state, attention, middle, feedforward] = [layers.states, layers.attention, layers.middle, layers.feedforward].map(open);
    kinds.sum1 = { value: (l, _, d) => state.at(l, d) + attention.at(l, d), origin: plain("state", "attention") };
    kinds.sum2 = { value: (l, _, d) => middle.at(l, d) + feedforward.at(l, d), origin: plain("middle", "feedforward") };
  }
  const final = shared.final_norm;
  if (final) Object.assign(kinds, normAddresses("finalnorm", final));
  kinds.final = watchedOnly(example.final, watched, 0, (t, d) =>
    final ? normOrigin(final, "finalnorm", along(D, "state", N, t), d) : { op: "sum", terms: [address("state", N, t, d)] },
  );
  return kinds;
}

function answerKinds(model: ModelCard, example: Example): Record<string, Kind> {
  const { answers } = example;
  const [final, vector] = [open(example.final), open(example.vector)];
  const same = final.shape[0] === vector.shape[0] && final.all().every((x, d) => x === vector.at(d));
  const watched = example.watched ?? 0;
  const copy: Kind["origin"] = (d) => ({ op: "sum", terms: [address("final", watched, d)] });
  const kinds: Record<string, Kind> = { vector: stored(example.vector, same ? copy : undefined), ...pooledKinds(example) };
  const place = (c: number) => answers.labels.findIndex((label) => label.index === c);
  const { head } = model.shared;
  const shown = open(answers.values);
  const row = (c: number) => head?.classes.indexOf(c) ?? -1;
  if (answers.all_logits) {
    const logits = open(answers.all_logits);
    const weight = head ? open(head.weight) : null;
    if (weight) {
      kinds["head.w"] = { value: (c, d) => weight.at(row(c), d), origin: () => learned };
      if (head!.bias) kinds["head.b"] = { value: (c) => open(head!.bias!).at(row(c)), origin: () => learned };
    }
    kinds.logit = {
      value: (c) => logits.at(c),
      origin: (c) =>
        weight && row(c) >= 0
          ? {
              op: "dot",
              pairs: Array.from({ length: weight.shape[1] }, (_, d) => [address("head.w", c, d), address("vector", (head!.starts?.[row(c)] ?? 0) + d)]),
              plus: head!.bias ? address("head.b", c) : null,
              times: 1,
            }
          : trace,
    };
    kinds.answer = {
      value: (c) => shown.at(place(c)),
      origin: (c) =>
        model.outcome === "sigmoid"
          ? { op: "sigmoid", of: address("logit", c) }
          : { op: "softmax", among: along(logits.shape[0], "logit"), at: c },
    };
  } else if (head && model.outcome === "cosine") {
    // The other vectors have length 1; this one is divided by its own.
    const others = open(head.weight);
    const times = 1 / length(vector.all());
    kinds["head.w"] = { value: (c, d) => others.at(row(c), d), origin: () => ({ op: "given", why: "other" }) };
    kinds.answer = {
      value: (c) => shown.at(place(c)),
      origin: (c) => ({ op: "dot", pairs: Array.from({ length: others.shape[1] }, (_, d) => [address("head.w", c, d), address("vector", d)]), plus: null, times: Math.abs(times - 1) < 1e-6 ? 1 : times }),
    };
  } else {
    kinds.answer = { value: (c) => shown.at(place(c)), origin: () => trace };
  }
  return kinds;
}

/** Where the vector is pooled from several tokens: what each counts, its final state, and the vector as what comes of them. */
function pooledKinds(example: Example): Record<string, Kind> {
  const { pooled, watched } = example;
  if (!pooled?.states || !pooled.pooled) return {};
  const [weights, states, vector] = [open(pooled.weights), open(pooled.states), open(example.vector)];
  const final = open(example.final);
  const list = example.tokens.map((_, t) => t).filter((t) => weights.at(t) !== 0);
  const kinds: Record<string, Kind> = {
    counts: stored(pooled.weights),
    end: stored(pooled.states, (t, d) => (t === watched && states.at(t, d) === final.at(d) ? { op: "sum", terms: [address("final", t, d)] } : trace)),
  };
  const largest = (d: number) => list.reduce((best, t) => (states.at(t, d) > states.at(best, d) ? t : best), list[0]);
  const made: Kind["origin"] = (d) =>
    pooled.kind === "largest"
      ? { op: "sum", terms: [address("end", largest(d), d)] }
      : { op: "dot", pairs: list.map((t) => [address("counts", t), address("end", t, d)]), plus: null, times: 1 };
  const values = open(pooled.pooled);
  kinds.pooled = stored(pooled.pooled, made);
  const size = Math.max(1e-9, ...values.all().map(Math.abs));
  const same = vector.shape[0] === values.shape[0] && vector.all().every((x, d) => Math.abs(x - values.at(d)) < 1e-5 * size);
  if (same && list.length > 1) kinds.vector = stored(example.vector, made);
  return kinds;
}

/** Every number of a traced example. */
export function tracedSource(model: ModelCard, example: Example): Source {
  const watched = example.watched ?? 0;
  return sourceOf({
    ...embeddingKinds(model, example),
    ...attentionKinds(model, example, watched),
    ...streamKinds(model, example, watched),
    ...answerKinds(model, example),
  });
}
