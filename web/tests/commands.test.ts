// Commands to copy: a model and an input as they were given, in words that a shell takes.
import { describe, expect, it } from "vitest";
import { cutOf, modelInCommand, pairCommand } from "../src/names";
import type { Example, ModelCard } from "../src/data";

const model = (given: string | null) => ({ name: "deit", given }) as ModelCard;
const example = (input: Partial<Example["input"]>) =>
  ({ input: { text: null, given: null, ...input }, tokens: ["class", "content", "content"].map((role) => ({ role })) }) as Example;

describe("commands to copy", () => {
  it("name a model as it was given, not by its folder's name", () => {
    expect(modelInCommand(model("models/deit"))).toBe("models/deit");
    expect(modelInCommand(model("my models/deit"))).toBe("'my models/deit'");
    expect(modelInCommand(model(null))).toBe("deit");
  });
  it("name the input that is shown, where it has a name", () => {
    expect(cutOf(example({ given: "a cat.jpg" }), model("models/deit"), 0, [2], 3)).toBe(
      `classtoken explain 'a cat.jpg' --model models/deit --cut "edges:0>p1@3" --mode renormalise`,
    );
    expect(cutOf(example({}), model("builtin:toy"), 0, [1], 0)).toContain("explain INPUT --model builtin:toy");
    expect(pairCommand(example({ text: "it's" }), example({ given: "b.jpg" }), model("m/d"))).toBe(
      `classtoken explain 'it'"'"'s' --with b.jpg --model m/d --out alike.html`,
    );
  });
});
