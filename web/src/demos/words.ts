/** What the one-picture demonstrations and the pooling race say. */
import { capital, layerName } from "../names";

export const demos = {
  title: "Related ideas, a picture and a slider each",
  place: "patch",
  finer: (side: number, grid: [number, number] | null) => (grid && grid[0] !== side ? `Drawn with ${side} × ${side} patches, so that there is something to see; the model of this page has ${grid.join(" × ")}.` : ""),
  windows: {
    title: "Windows (Swin): who reaches whom after k layers",
    layers: "layers",
    window: "window",
    says: (reached: number, all: number, layers: number) => `After ${layers} ${layers === 1 ? "layer" : "layers"} the outlined patch has heard from ${reached} of ${all}.`,
    cost: (all: number, square: number) => `Products a layer: ${all * square} in windows (N·w²), ${all * all} if all read all (N²).`,
    more: "Attention stays inside a window; every second layer the windows are shifted by half. A class token has no place in a window: such models take the average.",
  },
  cnn: {
    title: "A convolution's view against attention's",
    layers: "layers of 3×3",
    says: (cnn: number, all: number, layers: number) => `Gold: what a convolution of 3×3 has seen after ${layers} ${layers === 1 ? "layer" : "layers"}, ${cnn} of ${all}. Attention reaches all ${all} in its first.`,
    more: "Reaching is not using: which patches count is learned, and is what the heads' weights show.",
  },
  heads: { title: "Heads side by side", layer: "layer", says: (who: string, layer: number) => `What ${who} reads in ${layerName(layer)}, each head on its own scale: several questions at once.` },
  positions: {
    title: "How alike the vectors of places are",
    learned: "These are this model's own: cosine of the outlined place's vector to all others.",
    fixed: "Sines and cosines of row and column, which some models add to their patches: cosine of the outlined place's to all others.",
  },
  tiling: {
    title: "Patches where there is something to see (quadtree)",
    threshold: "tolerance",
    says: (found: number, all: number) => `${found} patches instead of ${all}: a square is cut in four as long as its pixels differ more.`,
    more: "Fewer tokens, and attention costs their square. Patches of several sizes need positions that know the size.",
  },
  alibi: {
    title: "ALiBi: distance as a slope",
    slope: "slope",
    reader: "word that reads",
    says: (slope: string) => `Score minus ${slope} × distance. With equal scores these are the shares: no position vector is needed, and longer texts work, too.`,
    sentence: "the cat that sat on the window sill all morning saw a bird",
  },
};

export const race = {
  title: (n: number) => `The same states, pooled in ${n === 6 ? "six" : "five"} ways`,
  columns: ["pooling", "weights on this input", "answer", "likeness", "learned", "what it costs and gives"],
  names: { cls: "class token", last: "last token", mean: "average", max: "maximum", attention: "attention pooling", learned: "learned weights", all: "all patches" },
  own: "this model's own",
  untrained: "not trained for it",
  none: "no head here fits",
  unlisted: "perhaps a class that is not listed here",
  likeness: "cosine to the model's own vector",
  numbers: (n: number) => (n === 0 ? "nothing" : n.toLocaleString("en")),
  says: {
    cls: "One vector that the model learned to read the others with. Costs a token; worth nothing where it was not trained.",
    last: "Nothing to learn. With a causal mask the only token that has seen all the others; worth little where it was not trained.",
    mean: "Nothing to learn, steady; the background counts as much as the object.",
    max: "Each number from the token where it is largest: the map shows how many each gave. One odd token can decide.",
    attention: "A query reads the finished tokens (SigLIP). Here the class token's final state asks, untrained; a trained one needs a query and four matrices.",
    learned: "A weight for each place, the same for every input. Little to learn; places must mean something.",
    all: "Throws nothing away; every class gets a row for every token. Most to learn and to overfit; one size of input.",
  },
};

/** Questions that are guessed at first; see `maths/questions`. */
export const quiz = {
  title: "Guess first",
  says: "Choose an answer, then see what this input's numbers say.",
  score: (right: number, of: number) => `${right} of ${of} right.`,
  right: "Right.",
  wrong: "No.",
  look: (step: number) => `See it in step ${step}`,
  none: "This input has nothing to guess at: its page was made without the experiments.",
  button: "Guess first: all exercises",
  alike: (thing: string, first: string, last: string) => ({
    asks: `Another ${thing} goes in. Does its class token begin with the same numbers?`,
    choices: ["the same, to the last digit", "alike, not the same", "other numbers"],
    says: `It was learned, and is the same for all. After one layer the two have cosine ${first}, at the end ${last}.`,
  }),
  swapped: (who: string, answer: string, donor: string, layer: string, before: string, after: string, best: string) => ({
    asks: `${capital(who)} of “${donor}” is put in before the last layer (${layer}). What becomes of “${answer}” (${before})?`,
    choices: ["stays first, and falls", "stays first, and rises", "another answer comes first"],
    says: `“${answer}” is then ${after}; first is “${best}”.`,
  }),
  cut: (who: string, answer: string, what: string, layer: string, means: string, before: string, after: string, p: string) => ({
    asks: `In ${layer} ${who} is cut off from the ${what}. Is “${answer}” moved more than by cutting as many others?`,
    choices: ["yes, it falls", "yes, it rises", "no more than by chance", "it cannot be told"],
    says: `${means} ${before} becomes ${after}; ${p}.`,
  }),
  causal: (thing: string, reference: string, change: string) => ({
    asks: `No token may read those behind it. Another ${thing} goes in: how far does the final class token move?`,
    choices: ["as far as without the mask", "less far", "not at all"],
    says: `By ${change}; without the mask by ${reference}. Standing first, it sees only itself.`,
  }),
  twice: (cosine: string) => ({
    asks: "A second class token is put in, with the same numbers and place. How alike do the two end?",
    choices: ["equal", "alike", "quite different"],
    says: `Cosine ${cosine}: nothing tells them apart.`,
  }),
  averaged: (read: string, answer: string, best: string, value: string) => ({
    asks: `The classifier gets the average of all tokens instead of ${read}. Is the first answer still “${answer}”?`,
    choices: ["yes", "no"],
    says: `It is “${best}” (${value}). The classifier was not trained for it: one input is one experiment.`,
  }),
  untrained: (who: string, n: number, spread: string) => ({
    asks: `The same model before training, with random weights: over how many tokens does ${who} spread its attention?`,
    choices: ["a few", "about half", "nearly all"],
    says: `As if evenly over ${spread} of ${n}: where it looks was learned.`,
  }),
  honest: (claimed: string, right: string, low: string, high: string, data: string) => ({
    asks: `Where the model is as sure as here (about ${claimed}), how often is it right?`,
    choices: ["less often than it claims", "about as often", "more often"],
    says: `In ${right} (95 %: ${low} to ${high}; ${data}).`,
  }),
};

export const exercise = {
  title: "Exercise: guess first",
  paper: {
    title: "Exercises",
    asks: (word: string, answer: string, read: "class" | "end" | "others", checked: boolean) => [
      ...(checked ? [`Which ${word}, taken away, lowers ${answer} most? Guess from step 5; the page checks it in step 10.`] : []),
      read === "class" ? "Is the class token of another input the same? Where does it begin to differ?" : read === "end" ? "The end token goes in the same for every input. Where does it begin to differ?" : "Every token here begins as a piece of the input. What would be different with a class token?",
      "Where it looked, and what it needed: are they the same? How would you find out?",
      read === "class" ? "What would a causal mask leave of a class token that stands first?" : "With a causal mask, which token would still read all the others?",
    ],
  },
  asks: (word: string, answer: string) => `Which ${word}, taken away, lowers ${answer} most? Choose.`,
  check: (name: string) => `Check ${name}`,
  right: "Right.",
  wrong: "Not this one.",
  says: (name: string, change: string, place: number, of: number) => `Without ${name}: ${change}, place ${place} of ${of}.`,
  show: "Show the one that costs most",
};
