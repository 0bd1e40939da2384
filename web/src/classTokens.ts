/** A model may have several class tokens; the page watches one at a time. */
import type { Example, Experiments } from "./data";

/** Positions of all class tokens that can be watched, in the order of the sequence. */
export const classTokens = (example: Example): number[] =>
  example.watched === null ? [] : [example.watched, ...example.others.map((other) => other.position)].sort((a, b) => a - b);

/** The example as it looks from another of its class tokens. */
export function seenFrom(example: Example, position: number | null): Example {
  const other = example.others.find((each) => each.position === position);
  if (!other) return example;
  const { keys, values, kept, norms } = example.layers;
  const contrast = example.contrast && { ...example.contrast, class_token: other.class_token, states: other.states };
  const { final, knockouts, swaps, causal, two, untrained } = other;
  return { ...example, watched: other.position, layers: { ...other.layers, keys, values, kept, norms }, contrast, final, knockouts, swaps, causal, two, untrained };
}

/** The example with what the server found out about it later. */
export function withExperiments(example: Example, found: Experiments): Example {
  const others = example.others.map((other, i) => ({ ...other, knockouts: found.others[i] ?? [] }));
  return { ...example, knockouts: found.knockouts, removals: found.removals, others };
}
