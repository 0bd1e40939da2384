/** Names that are written from right to left, inside sentences that are not: each keeps its own direction, and the sentence its order. */
import type { Example } from "./data";

/** Letters of scripts that run from right to left, and the signs that turn what follows them around. */
const TURNS = /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066\u2067\ufb1d-\ufdff\ufe70-\ufefc]/;

/** Without the signs that `isolated` puts around: for what is cut, or copied elsewhere. */
export const bare = (text: string): string => text.replace(/[\u2068\u2069]/g, "");

/** A name between first-strong isolate and its end, where it needs them. */
export const isolated = (text: string): string => (TURNS.test(text) ? `\u2068${bare(text)}\u2069` : text);

const known = new WeakMap<Example, Example>();

/** The example with its names isolated: its title and its partner's, its tokens, its answers. Most need nothing. */
export function withIsolatedNames(example: Example): Example {
  let found = known.get(example);
  if (!found) {
    const of = <T extends Record<K, string>, K extends string>(list: T[], key: K) => list.map((each) => (TURNS.test(each[key]) ? { ...each, [key]: isolated(each[key]) } : each));
    const { title, tokens, answers, truth, contrast } = example;
    const names = [title, ...tokens.map((each) => each.name), ...answers.labels.map((each) => each.text), truth.label ?? "", contrast?.title ?? ""];
    found = !names.some((name) => TURNS.test(name))
      ? example
      : {
          ...example,
          title: isolated(title),
          tokens: of(tokens, "name"),
          answers: { ...answers, labels: of(answers.labels, "text") },
          truth: { ...truth, label: truth.label && isolated(truth.label) },
          contrast: contrast && { ...contrast, title: isolated(contrast.title) },
        };
    known.set(example, found);
  }
  return found;
}
