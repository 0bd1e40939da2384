/** What patches, tokens, layers, heads and numbers are called: as Python, its JSON and the command line call them.
 *
 * All of them count from 0, and nothing on the page adds one to any. Only steps count from 1, and "after k layers" counts
 * layers that are done: after 0 of them a state is what goes into layer 0.
 */
import { bare, isolated } from "./bidi";
import type { Example, ModelCard, ShownToken } from "./data";

const twice = new WeakMap<ShownToken[], Set<string>>();

/** The names that several tokens of an input have: a word that stands in a sentence twice, pieces that are not known. */
function shared(tokens: ShownToken[]): Set<string> {
  let found = twice.get(tokens);
  if (!found) {
    const seen = new Set<string>();
    found = new Set(tokens.map(({ name }) => name).filter((name) => seen.size === seen.add(name).size));
    twice.set(tokens, found);
  }
  return found;
}

/** `patch 86 (row 6, column 2)`, `class token`, `register 0`, “film”: a token's whole name. Of several that are called
 * the same, each with its position behind: “the” (4). */
export function fullName(t: number, e: Example): string {
  const token = e.tokens[t];
  if (!token) return `token ${t}`;
  const quoted = token.role === "content" && !token.cell && e.input.kind === "text" ? `“${token.name}”` : token.name;
  return shared(e.tokens).has(token.name) ? `${quoted} (${t})` : quoted;
}

/** In a narrow column, where it is marked as what it is: of several class tokens the class alone, which would be cut off. */
export const rowName = (t: number, e: Example): string => tokenName(t, e).replace(/^class token (?=“)/, "");

/** A token where its position stands beside it anyway. */
export const placedName = (t: number, e: Example): string => {
  const name = tokenName(t, e);
  return name.endsWith(` (${t})`) ? name.slice(0, -` (${t})`.length) : name;
};

/** The same without row and column, where there is little room. */
export const tokenName = (t: number, e: Example): string => (e.tokens[t]?.cell ? fullName(t, e).split(" (")[0] : fullName(t, e));

export const layerName = (layer: number): string => `layer ${layer}`;
export const headName = (head: number): string => `head ${head}`;
export const headOrMean = (head: number | null): string => (head === null ? "mean over heads" : headName(head));
export const numberName = (d: number): string => `number ${d}`;

/** A token as `explain --cut` takes it: patches and word pieces by their number, others by their place. */
const inCut = (t: number, e: Example): string => (e.tokens[t].role === "content" ? `p${e.tokens.slice(0, t).filter((token) => token.role === "content").length}` : String(t));

/** A word of a command as a shell takes it. */
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`);

/** A model as a command takes it: as it was given, since a folder's name alone is none. */
export const modelInCommand = (model: ModelCard): string => quoted(model.given ?? model.name);

/** An input as a command takes it; null for what has no file. */
const inCommand = (e: Example): string | null => e.input.text ?? e.input.given;

/** That one token does not read others in one layer, in the words of the command line. */
export function cutOf(e: Example, model: ModelCard, reader: number, read: number[], layer: number): string {
  const [input, cut] = [inCommand(e), `edges:${inCut(reader, e)}>${read.map((t) => inCut(t, e)).join(",")}@${layer}`];
  return `classtoken explain ${input === null ? "INPUT" : quoted(input)} --model ${modelInCommand(model)} --cut "${cut}" --mode renormalise`;
}

/** The command that says why two inputs are alike; null where one of them cannot be given to it. */
export function pairCommand(one: Example, other: Example, model: ModelCard): string | null {
  const [first, second] = [inCommand(one), inCommand(other)];
  if (first === null || second === null) return null;
  return `classtoken explain ${quoted(first)} --with ${quoted(second)} --model ${modelInCommand(model)} --out alike.html`;
}

/** How many layers a state has behind it: 0 is what goes into layer 0. */
export const afterLayers = (done: number): string => `after ${done} ${done === 1 ? "layer" : "layers"}`;

/** What can be chosen, for a reader who wonders where it ends: `0 to 11`. */
export const span = (count: number): string => (count > 1 ? `0 to ${count - 1}` : "0");

/** An input's name where there is little room: of a file's the end tells; a sentence is cut by the page where it must. */
export function shortTitle(e: Example, most = 20): string {
  const title = bare(e.title);
  const stem = e.input.kind === "image" && title.length > most ? title.replace(/\.[A-Za-z]+$/, "") : title;
  if (e.input.kind !== "image" || stem.length <= most) return isolated(stem);
  const signs = /^[ -~]*$/.test(stem) ? [...stem] : Array.from(new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(stem), (sign) => sign.segment); // none is cut in two
  return isolated(signs.length > most ? `…${signs.slice(1 - most).join("").trimStart()}` : stem);
}

export const capital = (text: string): string => text[0].toUpperCase() + text.slice(1);
