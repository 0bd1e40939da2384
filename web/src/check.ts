/** Is this a walkthrough that this page can draw? All problems at once, each in a sentence. */
import { AXES, FORMAT, PARTS, VERSION, type Block, type Example, type Walkthrough } from "./data";
import { open } from "./blocks";

type Problem = string;
type Sizes = Record<string, number>;
type Fields = Record<string, unknown>;

function isBlock(value: unknown): value is Block {
  const block = value as Block | null;
  return !!block && typeof block.data === "string" && Array.isArray(block.shape) && /^(f32|f16|u8|i32)$/.test(block.dtype);
}

/** The size of an axis such as "L" or "N+1"; a letter that has none yet gets `found`. */
function sizeOf(axis: string, sizes: Sizes, found: number): number {
  const [letter, more = "0"] = axis.split("+");
  sizes[letter] ??= found - Number(more);
  return sizes[letter] + Number(more);
}

function checkShape(problems: Problem[], where: string, value: unknown, axes: string[], sizes: Sizes): void {
  if (!isBlock(value) && !Array.isArray(value)) {
    problems.push(`${where} is not a block of numbers`);
    return;
  }
  const shape = isBlock(value) ? value.shape : [value.length];
  const expected = axes.map((axis, i) => sizeOf(axis, sizes, shape[i]));
  if (shape.join("x") !== expected.join("x")) {
    problems.push(`${where} has shape ${shape.join("x")}, expected ${expected.join("x")}`);
    return;
  }
  try {
    if (isBlock(value)) open(value);
  } catch (error) {
    problems.push(`${where}: ${(error as Error).message}`);
  }
}

/** The letters that a part shares with the parts in it; others end with the class that they belong to. */
function known(kind: string, part: Fields, outer: Sizes): Sizes {
  const example = part as unknown as Example;
  return kind === "Example" ? { ...outer, L: example.tokens?.length, A: example.answers?.labels?.length } : outer;
}

/** Check every array of a part, and of the parts in it, against the axes that its class declares. */
function checkPart(problems: Problem[], kind: string, where: string, part: Fields, outer: Sizes): void {
  const inner = known(kind, part, outer);
  const sizes = { ...inner };
  for (const [field, axes] of Object.entries(AXES[kind] ?? {})) {
    if (part[field] === null && axes.endsWith("?")) continue;
    checkShape(problems, `${where}, ${field}`, part[field], axes.replace("?", "").split(" "), sizes);
  }
  for (const [field, told] of Object.entries(PARTS[kind] ?? {})) {
    const value = part[field];
    if (value === null && told.endsWith("?")) continue;
    const several = told.includes("[]");
    if (value === undefined || value === null) problems.push(`${where}, ${field} is missing`);
    else if (Array.isArray(value) !== several) problems.push(`${where}, ${field} is ${several ? "no list" : "a list"}`);
    else {
      for (const [i, each] of (several ? (value as unknown[]) : [value]).flat().entries()) {
        const name = several ? `${field} ${(each as { id?: string } | null)?.id ?? i + 1}` : field;
        if (typeof each === "object" && each) checkPart(problems, told.replace(/[[\]?]/g, ""), `${where}, ${name}`, each as Fields, inner);
        else problems.push(`${where}, ${name} is missing`);
      }
    }
  }
}

export function check(value: unknown): Problem[] {
  const document = value as Walkthrough | null;
  if (!document || document.format !== FORMAT) return ["This is not a walkthrough."];
  if (document.version !== VERSION) {
    return [`This walkthrough has format version ${String(document.version)}; this page reads version ${VERSION}. Make it again with the classtoken that you have.`];
  }
  const problems: Problem[] = [];
  const { depth: N, heads: H, hidden: D, head_size: K } = document.model ?? {};
  checkPart(problems, "Walkthrough", "walkthrough", document as unknown as Fields, { N, H, D, K });
  const examples = (document.examples ?? []).filter((example) => example?.tokens);
  if (!document.examples?.length) problems.push("The walkthrough holds no input.");
  for (const { id, watched, tokens } of examples) {
    const classed = tokens.some((token) => token?.role === "class");
    if (watched !== null && classed && tokens[watched]?.role !== "class") problems.push(`example ${id}: token ${watched} is watched and is no class token`);
  }
  for (const claim of document.claims ?? []) {
    if (!(claim?.n > 0) || !claim.value) problems.push(`claim ${claim?.id} comes without n or interval`);
  }
  return problems;
}
