import { describe, expect, it } from "vitest";
import { unfolded } from "../src/repeated";

describe("texts that are written once", () => {
  it("are back in all their places", () => {
    const folded = { a: { data: { repeated: 1 } }, b: [{ repeated: 0 }, null, 3, "x"], repeated: ["first", "second"] };
    expect(unfolded(folded as object)).toEqual({ a: { data: "second" }, b: ["first", null, 3, "x"] });
  });
  it("of a document without any it stays as it is", () => {
    expect(unfolded({ a: [1, { b: "@0" }] })).toEqual({ a: [1, { b: "@0" }] });
  });
});
