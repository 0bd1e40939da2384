/** Is this a walkthrough that this page can draw? All problems at once, each in a sentence. */
import { FORMAT, VERSION, type Block, type Example, type Walkthrough } from "./data";
import { open } from "./blocks";

type Problem = string;

function isBlock(value: unknown): value is Block {
  const block = value as Block | null;
  return !!block && typeof block.data === "string" && Array.isArray(block.shape) && /^(f32|f16|u8|i32)$/.test(block.dtype);
}

function shape(problems: Problem[], where: string, block: unknown, expected: number[]): void {
  if (!isBlock(block)) {
    problems.push(`${where} is not a block of numbers`);
    return;
  }
  if (block.shape.join("x") !== expected.join("x")) {
    problems.push(`${where} has shape ${block.shape.join("x")}, expected ${expected.join("x")}`);
    return;
  }
  try {
    open(block);
  } catch (error) {
    problems.push(`${where}: ${(error as Error).message}`);
  }
}

function checkExample(problems: Problem[], document: Walkthrough, example: Example): void {
  const { depth: N, heads: H, hidden: D, head_size: K } = document.model;
  const L = example.tokens.length;
  const A = example.answers.labels.length;
  const at = (name: string) => `example ${example.id}: ${name}`;
  const optional = (name: string, block: Block | null, expected: number[]) => {
    if (block !== null) shape(problems, at(name), block, expected);
  };
  const { layers, embeddings, answers } = example;
  if (example.hero !== null && !(example.hero >= 0 && example.hero < L)) problems.push(at("hero is not a token"));
  shape(problems, at("before"), embeddings.before, [L, D]);
  optional("after", embeddings.after, [L, D]);
  optional("position", embeddings.position, [L, D]);
  for (const name of ["scores", "weights", "back"] as const) shape(problems, at(name), layers[name], [N, H, L]);
  shape(problems, at("heads"), layers.heads, [N, H, D]);
  for (const name of ["attention", "middle", "feedforward"] as const) shape(problems, at(name), layers[name], [N, D]);
  shape(problems, at("states"), layers.states, [N + 1, D]);
  optional("queries", layers.queries, [N, H, K]);
  optional("keys", layers.keys, [N, H, L, K]);
  optional("values", layers.values, [N, H, L, K]);
  optional("context", layers.context, [N, H, K]);
  optional("used", layers.used, [N, H, L]);
  optional("norms", layers.norms, [N + 1, L]);
  shape(problems, at("final"), example.final, [D]);
  shape(problems, at("answers"), answers.values, [A]);
  if (example.lens) shape(problems, at("lens"), example.lens.values, [N + 1, A]);
  if (example.removals) shape(problems, at("removals"), example.removals.values, [example.removals.tokens.length, A]);
  for (const other of example.others) {
    for (const name of ["scores", "weights", "back"] as const) shape(problems, at(`${name} of class token ${other.hero}`), other.layers[name], [N, H, L]);
    shape(problems, at(`states of class token ${other.hero}`), other.layers.states, [N + 1, D]);
    shape(problems, at(`final state of class token ${other.hero}`), other.final, [D]);
  }
  for (const swap of example.swaps) shape(problems, at(`swap with ${swap.donor}`), swap.values, [N + 1, A]);
}

export function check(value: unknown): Problem[] {
  const document = value as Walkthrough | null;
  if (!document || document.format !== FORMAT) return ["This is not a walkthrough."];
  if (document.version !== VERSION) {
    return [`This walkthrough has format version ${String(document.version)}; this page reads version ${VERSION}. Make it again with the classtoken that you have.`];
  }
  const problems: Problem[] = [];
  if (!document.examples.length) problems.push("The walkthrough holds no input.");
  for (const example of document.examples) checkExample(problems, document, example);
  for (const claim of document.claims) {
    if (!(claim.n > 0) || !claim.value) problems.push(`claim ${claim.id} comes without n or interval`);
  }
  return problems;
}
