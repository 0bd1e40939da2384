import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { half, open } from "../src/blocks";
import { check } from "../src/check";
import { PARTS } from "../src/data";
import type { Example, Walkthrough } from "../src/data";
import { cosine, effectiveTokens, erf, highest, softmax } from "../src/maths/basic";
import { forward } from "../src/maths/forward";
import { ledger } from "../src/maths/ledger";
import { named, recompute, type Source } from "../src/maths/origin";
import { toySource } from "../src/maths/toy";
import { tracedSource } from "../src/maths/traced";

// The golden trace: written by a float64 numpy reference, compared by Python's tests with the real encoder.
const golden = JSON.parse(readFileSync(new URL("golden.json", import.meta.url), "utf8")) as Walkthrough;
const { model, toy } = golden;
const run = (i: number, what = {}) => forward(toy!, model.heads, open(golden.examples[i].input.pixels!), what);

function close(actual: ArrayLike<number>, expected: ArrayLike<number>, digits = 5) {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < actual.length; i++) expect(actual[i]).toBeCloseTo(expected[i], digits);
}

describe("basic", () => {
  it("erf agrees with tables to 1e-13", () => {
    for (const [x, y] of [[0.5, 0.5204998778130465], [1, 0.8427007929497149], [2.9, 0.9999589021219005], [3.5, 0.9999992569016276], [-1, -0.8427007929497149]])
      expect(Math.abs(erf(x) - y)).toBeLessThan(1e-13);
  });
  it("a uniform softmax has as many effective tokens as tokens", () => {
    expect(effectiveTokens(softmax([3, 3, 3, 3]))).toBeCloseTo(4, 12);
    expect(softmax([0, -Infinity])[1]).toBe(0);
  });
  it("halves", () => {
    expect([0x3c00, 0xc000, 0x0001, 0x7bff].map(half)).toEqual([1, -2, 2 ** -24, 65504]);
  });
});

describe("the largest", () => {
  it("is found among more numbers than a call takes", () => {
    const weights = new Float64Array(24 * 16 * 577); // of every layer and head of a large model at 336 px
    weights[200_000] = 0.5;
    expect(highest(weights)).toBe(0.5);
    expect(highest([], 1)).toBe(1);
  });
});

describe("forward", () => {
  it.each([0, 1])("equals the golden trace of example %i", (i) => {
    const example = golden.examples[i];
    const mine = run(i);
    const { layers } = example;
    for (let l = 0; l < model.depth; l++) {
      const layer = mine.layers[l];
      close(layer.attention[0], open(layers.attention).row(l));
      close(layer.middle[0], open(layers.middle).row(l));
      close(layer.feedforward[0], open(layers.feedforward).row(l));
      close(layer.output[0], open(layers.states).row(l + 1));
      for (let h = 0; h < model.heads; h++) {
        close(layer.scores[h][0], open(layers.scores).row(l, h));
        close(layer.weights[h][0], open(layers.weights).row(l, h));
        close(layer.weights[h].map((row) => row[0]), open(layers.back).row(l, h));
        close(layer.headOut[h][0], open(layers.heads).row(l, h));
        close(layer.context[h][0], open(layers.context!).row(l, h));
        layer.keys[h].forEach((key, t) => close(key, open(layers.keys!).row(l, h, t)));
        layer.values[h].forEach((value, t) => close(value, open(layers.values!).row(l, h, t)));
      }
    }
    close(mine.final[0], open(example.final).all());
    close(mine.logits, open(example.answers.all_logits!).all());
  });

  it("what-ifs equal the golden removals, swaps, poolings, causal mask and second class token", () => {
    const example = golden.examples[0];
    const shown = (p: Float64Array) => example.answers.labels.map((label) => p[label.index]);
    example.removals!.tokens.forEach((t, i) =>
      close(shown(run(0, { removed: new Set([t]) }).probabilities), open(example.removals!.values).row(i)),
    );
    for (let l = 0; l <= model.depth; l++) {
      const state = open(example.contrast!.states).row(l);
      close(shown(run(0, { swap: { layer: l, state } }).probabilities), open(example.swaps[0].values).row(l));
    }
    for (const pooling of example.poolings)
      close(shown(run(0, { pooling: pooling.name }).probabilities), open(pooling.values).all());
    close(shown(run(0, { causal: true }).probabilities), open(example.causal!.values!).all());
    const two = run(0, { second: true });
    close(shown(two.probabilities), open(example.two!.values).all());
    expect(cosine(two.layers[1].output[0], two.layers[1].output[1])).toBeCloseTo(1, 12);
  });

  it("a causal mask leaves the class token the same for every input", () => {
    close(run(0, { causal: true }).final[0], run(1, { causal: true }).final[0], 12);
  });
});

/** Walk from `start` to everything that its arithmetic names, and compare each number with its own recomputation. */
function walk(source: Source, start: string[]): number {
  const seen = new Set<string>();
  const queue = [...start];
  while (queue.length) {
    const address = queue.pop()!;
    if (seen.has(address)) continue;
    seen.add(address);
    const origin = source.origin(address);
    const again = recompute(origin, source.value);
    expect(Number.isFinite(source.value(address)), address).toBe(true);
    if (again !== null) expect(Math.abs(again - source.value(address)), address).toBeLessThan(2e-5);
    queue.push(...named(origin));
  }
  return seen.size;
}

describe("every number can be recomputed", () => {
  it("toy: from the answer down to pixels and weights", () => {
    const source = toySource(toy!, open(golden.examples[0].input.pixels!), model.heads, run(0));
    const count = walk(source, golden.examples[0].answers.labels.map((label) => `answer:${label.index}`));
    expect(count).toBeGreaterThan(2500);
    expect(source.has("pixel:0:0:0") && !source.has("nothing:0")).toBe(true);
  });
  it("traced: scores, softmax, sums over tokens and heads, residual additions, the classifier", () => {
    const source = tracedSource(model, golden.examples[0]);
    const count = walk(source, [...golden.examples[0].answers.labels.map((l) => `answer:${l.index}`), ...headouts()]);
    expect(count).toBeGreaterThan(300);
  });
  const headouts = () => {
    const out: string[] = [];
    for (let l = 0; l < model.depth; l++)
      for (let h = 0; h < model.heads; h++)
        for (let k = 0; k < model.head_size; k++) out.push(`context:${l}:${h}:0:${k}`);
    return out;
  };
});

describe("the ledger of a layer", () => {
  const heads = [null, ...Array.from({ length: model.heads }, (_, h) => h)];
  it.each(heads)("adds up with head %s chosen", (head) => {
    for (const example of golden.examples) {
      for (let layer = 0; layer < model.depth; layer++) {
        let total: number[] = [];
        for (const line of ledger(model, example, layer, head)) {
          if (line.sign === "=") close(total, line.values, 5);
          if (line.sign === "") total = [...line.values];
          if (line.sign === "+") total = total.map((x, d) => x + line.values[d]);
        }
      }
    }
  });
  it("has one line for the heads that are not shown, so that nothing is missing", () => {
    const many = { ...model, heads: 9 };
    const example = structuredClone(golden.examples[0]);
    const block = example.layers.heads;
    const values = new Float32Array(model.depth * 9 * model.hidden).fill(0.25);
    example.layers.heads = { ...block, shape: [model.depth, 9, model.hidden], data: btoa(String.fromCharCode(...new Uint8Array(values.buffer))) };
    const lines = ledger(many, example, 0, null);
    expect(lines.filter((line) => line.what === "head")).toHaveLength(4);
    expect(lines.find((line) => line.what === "others")!.values[0]).toBeCloseTo(5 * 0.25);
    expect(ledger(many, example, 0, 7).find((line) => line.what === "others")!.values[0]).toBeCloseTo(8 * 0.25);
  });
});

describe("validator", () => {
  it("accepts the golden document and names what is wrong with others", () => {
    expect(check(golden)).toEqual([]);
    expect(check({ format: "x" })[0]).toContain("not a walkthrough");
    expect(check({ ...golden, version: 9 })[0]).toContain("version 9");
    const broken = structuredClone(golden);
    broken.examples[0].final.shape = [3];
    broken.examples[0].embeddings.before.data = "AAAA";
    broken.claims[0].n = 0;
    expect(check(broken)).toHaveLength(3);
  });
  it("checks every array that a class declares: its size, whether it may be null, whether it is there", () => {
    const changed = (change: (document: Walkthrough) => void) => {
      const document = structuredClone(golden);
      change(document);
      return check(document);
    };
    expect(changed((d) => (d.examples[1].layers.keys = null))).toEqual([]);
    expect(changed((d) => (d.examples[1].layers.scores = null!))).toEqual(["walkthrough, examples bar, layers, scores is not a block of numbers"]);
    expect(changed((d) => (d.examples[0].contrast!.tokens.pop()))[0]).toContain("before has shape 10x8, expected 9x8");
    expect(changed((d) => d.examples[0].removals!.tokens.pop())[0]).toContain("values has shape 9x3, expected 8x3");
    expect(changed((d) => (d.model.shared.final_norm!.bias!.shape = [3]))[0]).toContain("final_norm, bias has shape 3, expected 8");
    expect(changed((d) => delete (d.examples[0] as Partial<Example>).lens)).toEqual(["walkthrough, examples disc, lens is missing"]);
    expect(changed((d) => (d.examples[0].watched = 1))[0]).toContain("no class token");
  });
  it("tells null from a part that may be absent, wherever it stands", () => {
    const held: [string, (d: Walkthrough) => unknown][] = [
      ["Walkthrough", (d) => d],
      ["ModelCard", (d) => d.model],
      ["Example", (d) => d.examples[0]],
      ["Answers", (d) => d.examples[0].answers],
      ["ContrastInput", (d) => d.examples[0].contrast],
    ];
    for (const [kind, of] of held) {
      for (const [field, told] of Object.entries(PARTS[kind])) {
        const damaged = structuredClone(golden);
        (of(damaged) as Record<string, unknown>)[field] = null;
        if (told.endsWith("?")) expect(check(damaged), `${kind}, ${field}`).toEqual([]);
        else expect(check(damaged).join(), `${kind}, ${field}`).toContain(`${field} is missing`);
      }
    }
    const document = structuredClone(golden);
    document.examples[0].tokens[1] = null!;
    expect(check(document)).toContain("walkthrough, examples disc, tokens 2 is missing");
    document.examples[0].layers = [] as never;
    expect(check(document)).toContain("walkthrough, examples disc, layers is a list");
  });
});
