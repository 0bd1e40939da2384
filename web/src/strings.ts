/** Every sentence that the page says, in one place; a translation is another file with the same shape. */
import type { Example, ModelCard, RoleName } from "./data";
import { number, percent, points } from "./format";
import { parse, type Address } from "./maths/origin";

const image = (model: ModelCard) => model.modality === "image";
export const piece = (model: ModelCard, many = false) => (image(model) ? (many ? "patches" : "patch") : many ? "word pieces" : "word piece");
export const thing = (model: ModelCard) => (image(model) ? "picture" : "sentence");

export const roles: Record<RoleName, { name: string; says: string }> = {
  class: { name: "class token", says: "learned, the same for every input, put in front; it reads the others" },
  distillation: { name: "distillation token", says: "a second class token, trained to repeat a teacher's answer" },
  register: { name: "register", says: "a learned scratch token: attention may park things here; it is never read out" },
  prompt: { name: "instruction", says: "put before the text; not part of it" },
  content: { name: "content", says: "a piece of the input" },
  end: { name: "end token", says: "marks the end of the text; it often receives attention that has nowhere else to go" },
  pad: { name: "padding", says: "fills a batch; never looked at" },
};

interface StepText {
  short: string;
  title: string;
  says: string[];
  formula: string | null;
  beware: string;
}

const steps: ((m: ModelCard, e: Example) => StepText)[] = [
  (m, e) => ({
    short: image(m) ? "Patches" : "Word pieces",
    title: image(m) ? "The picture becomes a row of vectors" : "The sentence becomes a row of vectors",
    says: image(m)
      ? [
          `The picture is cut into ${e.input.grid?.join(" × ") ?? ""} squares, called patches. Each patch becomes a list of ${m.hidden} numbers: its vector. Every number is a weighted sum of that patch's pixels, with weights that were learned in training.`,
          `Pick a patch to see its vector. From here on the model sees no pixels, only these vectors. Vectors in a row like this are called tokens.`,
        ]
      : [
          `The sentence is cut into ${e.tokens.length} word pieces. Each piece is looked up in a table of learned vectors: ${m.hidden} numbers for each.`,
          `Pick a piece to see its vector. Some pieces, in square brackets, stand for no word: the model's makers added them. Vectors in a row like this are called tokens.`,
        ],
    formula: image(m) ? "vector = W · pixels + b" : "vector = table[piece]",
    beware: `One ${piece(m)}'s vector knows nothing of its neighbours yet, nor of where it stands.`,
  }),
  (m) => ({
    short: "Class token",
    title: m.readout.reads_class_token ? "One more token is put in front" : "A class token stands in front, too",
    says: [
      `The class token is one extra vector at position 0. It is not made from the ${thing(m)}: it was learned in training and is the same for every input. Compare: two inputs, their ${piece(m, true)} differ, their class tokens do not.`,
      m.readout.reads_class_token
        ? `At the end, the answer is read from this one token alone. So whatever the answer uses of your ${thing(m)} must reach it through attention: that is the story of the next steps. “CLS” is short for classification.`
        : `This model's makers do NOT read their answer from it: ${m.readout.says}. It takes part all the same, so it can be watched.`,
    ],
    formula: "tokens = [class, piece 1, piece 2, …]",
    beware: "“The same for every input” is true only here, before the first layer. One layer later it has read your input.",
  }),
  (m) => ({
    short: "Positions",
    title: "Every token is told where it stands",
    says: [
      m.position.kind === "added"
        ? `Attention sees a set, not a row: without help it could not tell the first token from the last. So a vector for the position is added, number by number. The class token's position is 0.`
        : `This model adds no position vector here: ${m.position.says}.`,
      m.position.kind === "added"
        ? `The map shows how alike the chosen token's position vector is to all the others.`
        : `The vectors go into the first layer as they are.`,
    ],
    formula: m.shared.embedding_norm ? "token = norm(vector + position)" : "token = vector + position",
    beware: "If neighbours have similar position vectors, the model has learned that; it is not built in.",
  }),
  (m) => ({
    short: "Scores",
    title: "The class token compares itself with every token",
    says: [
      `From the class token's state the layer makes a query, from every token a key (${m.head_size} numbers each). Query times key, summed up and divided by √${m.head_size}, is the score: how well that token fits what the class token is looking for. It scores itself as well.`,
      `${m.heads} heads do this side by side, each with its own learned queries and keys. Choose one below: they look for different things.`,
    ],
    formula: "score = q · k / √d",
    beware: "A score alone says nothing: only differences count. If every score rose by 5, nothing would change.",
  }),
  () => ({
    short: "Weights",
    title: "Scores become shares of attention",
    says: [
      `Softmax turns the scores of one head into weights: all positive, together exactly 1. One point more in score is 2.7 times the weight. This is the class token's attention: the heat map that people print.`,
      `It goes both ways: the other tokens read the class token, too. Switch to “who reads it”.`,
    ],
    formula: "weight = exp(score) / sum of all exp(score)",
    beware: "",
  }),
  (m) => ({
    short: "Update",
    title: "The class token takes in what it looked at",
    says: [
      `Every token also offers a value. Each head adds up all values, each times its weight, and passes the sum through a learned matrix. What the heads give is added to what the class token already holds.`,
      `Then a feed-forward part (${m.feedforward} numbers wide) works on each token alone, and its result is added too. That is one layer. Pick a number in a strip to follow it.`,
    ],
    formula: m.norm === "pre" ? "state + attention + feed-forward = new state" : "norm(norm(state + attention) + feed-forward) = new state",
    beware: "A big weight on a token whose value is short brings little. Compare “share of attention” with “share of what was added”.",
  }),
  (m) => ({
    short: "Depth",
    title: `The same again, ${m.depth} times`,
    says: [
      `Each layer has its own learned numbers. Drag through the layers: the attention changes, and so does what the class token holds.`,
      `The lens asks: if the model had to answer after this layer, what would it say?`,
    ],
    formula: "state 0 → state 1 → … → answer",
    beware: "The lens reads an unfinished state with the last layer's tools. Not readable is not the same as not there.",
  }),
  (m) => ({
    short: "Before & after",
    title: "The same token, before and after",
    says: [
      `Above the class token as it was learned, below what it has become for this ${thing(m)}. It started the same for both inputs; the curve shows how the two drift apart, layer by layer.`,
      m.readout.reads_class_token ? "The lower vector is all that the answer is read from." : `The answer is read from another vector: ${m.readout.says}.`,
    ],
    formula: "cosine = 1: same direction; 0: nothing in common",
    beware: `It is tempting to say “a summary of the ${thing(m)}”. What we know is less: that the answer can be read from it. What else it holds would have to be measured.`,
  }),
  (m) => ({
    short: "Answer",
    title: m.outcome === "cosine" ? "One vector in, likeness out" : m.outcome === "sigmoid" ? "One vector in, one answer for each label" : "One vector in, one answer out",
    says:
      m.outcome === "sigmoid"
        ? [
            `The classifier multiplies the vector with one learned row per label: that gives a logit for each. A sigmoid makes each a confidence of its own: ${m.classes ?? "all"} separate questions, whose answers need not sum to 1.`,
            `A confidence is what the model says, not how often it is right. Whether the two agree was measured below, where it could be.`,
          ]
        : m.outcome === "probability"
        ? [
            `The classifier multiplies the vector with one learned row per class: that gives a logit for each. Softmax makes them confidences that sum to 1 over ${m.classes ?? "all"} classes.`,
            `A confidence is what the model says, not how often it is right. Whether the two agree was measured below, where it could be.`,
          ]
        : [
            `This model has no classes. It gives a vector, and vectors are compared: the cosine to other texts says how alike the model finds them.`,
            `Read-out: ${m.readout.says}.`,
          ],
    formula: m.outcome !== "cosine" ? "logit = row · vector + b" : "likeness = cosine(vector, other vector)",
    beware:
      m.outcome === "sigmoid"
        ? "The model can only answer about the labels it knows. All low means “none of these”, not “nothing there”."
        : m.outcome === "probability"
        ? "The model must choose among the classes it knows. It has no way to say “none of these”."
        : "A cosine of 0.8 in one model is not 0.8 in another: only the order can be compared.",
  }),
  (m) => ({
    short: "What if",
    title: "A laboratory",
    says: [
      `Change something and see whether the answer cares: this is the only test here that shows cause. Take ${piece(m, true)} away, swap the class token for another input's, read the answer from the mean or the maximum instead.`,
    ],
    formula: null,
    beware: "One picture is one experiment. A rule needs many, and a control.",
  }),
];

export const stepText = (step: number, m: ModelCard, e: Example): StepText => steps[step - 1](m, e);

/** What a number is, in words. Layers, heads and places count from 1 for readers. */
export function label(address: Address, m: ModelCard, e: Example): string {
  const { name, places } = parse(address);
  const [a, b, c, d] = places;
  const token = (t: number) => tokenName(t, e);
  const of = (t: number, i: number) => `${token(t)}, number ${i + 1}`;
  const layer = `layer ${a + 1}`;
  const head = `${layer}, head ${b + 1}`;
  const [base, kind] = name.split(".");
  if (kind) return `learned ${kind === "w" ? "weight" : "bias"} (${LEARNED[base.replace(/\d+$/, "")] ?? base})`;
  switch (name) {
    case "pixel":
      return `pixel, row ${b + 1}, column ${c + 1}`;
    case "before":
      return `vector of ${of(a, b)}`;
    case "position":
      return `position vector of ${of(a, b)}`;
    case "summed":
      return `vector + position of ${of(a, b)}`;
    case "after":
      return `${of(a, b)}, with position`;
    case "state":
      return a === 0 ? `state of ${of(b, c)}, going into layer 1` : `state of ${of(b, c)}, after layer ${a}`;
    case "normed1":
      return `state of ${of(b, c)}, normed (${layer})`;
    case "normed2":
      return `normed for feed-forward: ${of(b, c)} (${layer})`;
    case "q":
      return `query of ${of(c, d)} (${head})`;
    case "k":
      return `key of ${of(c, d)} (${head})`;
    case "v":
      return `value of ${of(c, d)} (${head})`;
    case "score":
      return `score that ${token(c)} gives ${token(d)} (${head})`;
    case "weight":
      return `weight that ${token(c)} gives ${token(d)} (${head})`;
    case "context":
      return `weighted sum of values for ${of(c, d)} (${head})`;
    case "headout":
      return `what head ${b + 1} adds to ${of(c, d)} (${layer})`;
    case "attention":
      return `what attention adds to ${of(b, c)} (${layer})`;
    case "middle":
      return `state of ${of(b, c)}, after attention (${layer})`;
    case "sum1":
    case "sum2":
      return `sum before the norm: ${of(b, c)} (${layer})`;
    case "up":
      return `feed-forward, hidden number ${c + 1} for ${token(b)} (${layer})`;
    case "active":
      return `feed-forward, hidden number ${c + 1} after the bend (${layer})`;
    case "feedforward":
      return `what feed-forward adds to ${of(b, c)} (${layer})`;
    case "final":
      return `final ${of(a, b)}`;
    case "vector":
      return `vector read out, number ${a + 1}`;
    case "logit":
      return `logit of ${className(a, e)}`;
    case "answer":
      return m.outcome !== "cosine" ? `confidence in ${className(a, e)}` : `cosine to ${className(a, e)}`;
    default:
      return address;
  }
}

const LEARNED: Record<string, string> = {
  stem: "patch embedding", query: "query", key: "key", value: "value", output: "output projection", up: "feed-forward, in",
  down: "feed-forward, out", head: "classifier", finalnorm: "final norm", norm: "norm", firstnorm: "norm", secondnorm: "norm",
  embeddingnorm: "embedding norm",
}; // prettier-ignore

export function className(index: number, e: Example): string {
  return e.answers.labels.find((each) => each.index === index)?.text ?? `class ${index}`;
}

export function tokenName(t: number, e: Example): string {
  const token = e.tokens[t];
  if (!token) return `token ${t}`;
  if (token.role === "content") return token.cell ? `patch ${token.text}` : `“${token.text}”`;
  return token.cell === null && token.text.startsWith("[") ? token.text : roles[token.role].name;
}

/** A short name of an address, for links inside sentences and for the trail. */
export const words = {
  brand: "classtoken",
  tagline: "see one vector being made",
  skip: "Skip to the step",
  steps: "Steps",
  previous: "Previous",
  next: "Next",
  stepOf: (n: number, of: number) => `Step ${n} of ${of}`,
  inputs: "Inputs",
  yours: "Yours",
  input: "Input",
  sequence: "Sequence",
  happens: "What happens",
  matters: "Does it matter?",
  beware: "What not to conclude",
  arithmetic: "Arithmetic",
  dock: "Layers and arithmetic",
  layer: "Layer",
  head: "Head",
  allHeads: "mean",
  allHeadsLong: "mean over all heads",
  tables: "Tables",
  tablesLong: "Show all numbers as tables",
  concepts: "Concepts",
  conceptsLong: "Concepts: what a class token is, who uses it, what attention does not tell",
  theme: "Dark",
  print: "Print",
  keys: "Keys",
  modelCard: "Model",
  cardRows: (m: ModelCard): [string, string][] => [
    ["family", m.family],
    ["tokens", m.layout],
    ["size", `${m.depth} layers, ${m.heads} heads of ${m.head_size}, ${m.hidden} numbers a token, ${m.parameters.toLocaleString("en")} learned numbers`],
    ["read-out", m.readout.says],
    ["positions", m.position.says],
    ["trained on", m.trained_on],
    ["licence", m.licence],
  ],
  close: "Close",
  heat: "Heat map",
  object: "True outline",
  objectSays: (attention: string, area: string) => `${attention} of this attention falls on the object, which covers ${area} of the picture.`,
  direction: "Direction",
  looks: "what it reads",
  looksBack: "who reads it",
  sharedScale: "One scale for all layers",
  numbers: "Numbers as a table",
  back: "Back",
  copyOf: "is a copy of",
  showAll: (n: number) => `show all ${n}`,
  again: "from the numbers shown",
  stored: "the model's own",
  equal: "equal",
  differs: "differs",
  computedHere: "This page did the whole forward itself from the weights it holds.",
  given: {
    learned: "Learned in training: the same for every input.",
    pixel: "A pixel of your picture, as it enters the model.",
    trace: "Taken from the model's forward as Python recorded it. Its own origin needs weights that this page does not hold.",
    constant: "A constant.",
  },
  op: { sum: "sum", dot: "sum of products", softmax: "softmax", norm: "norm", gelu: "GELU", relu: "ReLU", sigmoid: "sigmoid", given: "given" },
  times: "times",
  mean: "mean",
  spread: "spread",
  ofNumbers: "of these numbers",
  position: "position",
  token: "Token",
  role: "Role",
  value: "Value",
  share: "Share",
  removedEffect: "Effect of removing it",
  uniform: (x: number) => `evenly spread would be ${percent(x, 2)} each`,
  uniformShort: "even share",
  effective: (x: number, n: number) => `as if spread evenly over ${x.toFixed(1)} of ${n} tokens`,
  self: "on itself",
  onSpecial: "on special tokens",
  brightest: "looked at most",
  highest: "highest scores",
  darkest: "looked at least",
  mostIgnored: (n: number, total: number, mass: number, word: string) =>
    `Half of the ${word} (${n} of ${total}) share ${percent(mass)} of this attention.`,
  lookedUnused: "Looked at, but not needed",
  lookedUnusedSays: "among the most attended, yet taking it away hardly moves the answer",
  unlookedUsed: "Hardly looked at, but needed",
  unlookedUsedSays: "little direct attention in any layer, yet taking it away moves the answer: it reaches the class token through others, or the last bit counted",
  shareAttention: "share of attention",
  shareAdded: "share of what was added",
  noRemovals: "Removals were not computed for this page.",
  matter: {
    where: (layer: number | null, head: number | null) =>
      `${layer === null ? "in every layer" : `in layer ${layer + 1}`}${head === null ? "" : `, head ${head + 1}`}`,
    cut: (n: number, word: string, where: string) => `Cut the class token off from the ${n} ${word} that it looks at most, ${where}:`,
    effect: (what: string, before: string, after: string, change: string) => `${what} goes from ${before} to ${after} (${change}).`,
    random: (low: string, high: string, n: number) => `Cutting as many random ones instead: between ${low} and ${high} (${n} draws).`,
    inside: "No more than chance: this picture of attention does not explain the answer.",
    outside: "More than chance: here, what it looked at did matter.",
    none: "No knock-out was computed for this layer.",
    removal: (what: string, change: string) => `Taking ${what} away altogether: ${change}.`,
    needed: (what: string, word: string) => `The ${word} whose removal costs “${what}” most, one at a time:`,
    before: "Attention has not been at work yet. From step 4 on, this box says whether what you see matters to the answer.",
    lab: "Everything here is such a test.",
  },
  weightsBeware: (top: string, share: string) =>
    `${top} gets ${share} of this attention. That is where the class token looked, not why the model answered.`,
  claims: "Over many inputs",
  claim: (value: string, low: string, high: string, n: number, data: string) => `${value} (95 % interval ${low} to ${high}; n = ${n}, ${data})`,
  control: (what: string, value: string, low: string, high: string) => `Control, ${what}: ${value} (${low} to ${high}).`,
  madeBy: "made by",
  legend: "Legend",
  zero: "0",
  same: "identical",
  differ: (x: string) => `differ, distance ${x}`,
  thisInput: "this input",
  otherInput: "another input",
  noContrast: "There is no second input to compare with in this page.",
  patchAlone: "one token's vector",
  fromPixels: "enlarged",
  dimension: (i: number, of: number) => `number ${i} of ${of}`,
  positionMap: "likeness of position vectors",
  noPosition: "no position vector is added",
  before: "before",
  after: "after",
  state: "state",
  attentionAdds: "attention adds",
  feedforwardAdds: "feed-forward adds",
  headAdds: (h: number) => `head ${h} adds`,
  bias: "bias",
  newState: "new state",
  middle: "after attention",
  length: (x: number) => `length ${number(x, 2)}`,
  depth: (n: number) => `all ${n} layers`,
  lens: "Lens",
  lensSays: "if it had to answer now",
  noLens: "There is no classifier, so there is nothing to ask.",
  effectiveTitle: "effective number of tokens",
  band: (n: number, data: string) => `band: 95 % interval of the mean over ${n} inputs (${data})`,
  bandControl: (what: string) => `dashed: ${what}`,
  layerMaps: "Attention of the class token, layer by layer",
  initial: "as learned",
  finalState: "as it ends",
  cosineBetween: "cosine between the class tokens of the two inputs",
  drift: (first: number, last: number) => `${number(first, 3)} after layer 1, ${number(last, 3)} at the end`,
  truth: (text: string) => `true label: ${text}`,
  right: "right",
  wrong: "wrong",
  calibration: "Is the confidence honest?",
  calibrationSays: (conf: string, acc: string, n: number, data: string) => `When this model says about ${conf}, it is right ${acc} of the time (n = ${n}, ${data}).`,
  noCalibration: "Not measured for this model: read the confidence as a score.",
  unseenConfidence: "No answer in the measured set had a confidence like this one.",
  lab: {
    mode: "Experiment",
    remove: "Take away",
    pooling: "Other pooling",
    swap: "Swap",
    causal: "Causal mask",
    two: "Two class tokens",
    clean: "as it is",
    removed: (n: number, word: string) => `${n} ${word} taken away`,
    removeSays: (word: string, many: boolean) =>
      many
        ? `Click ${word} on the left to take them away; click again to put them back. The sequence gets shorter: nothing is painted grey.`
        : `Click one of the ${word} on the left to take it away. On a page from disk, one at a time is precomputed; --serve lets you take away any set.`,
    reset: "Put all back",
    topMost: (word: string) => `Most needed ${word}`,
    topSays: "one at a time, by how far the first answer falls",
    poolingSays: "The same states, read out otherwise, through the same classifier.",
    swapSays: (donor: string) => `Before a layer, replace the class token's state by that of another input (${donor}), and let the model go on. If early states mattered, the answer would follow the donor.`,
    swapLayer: "Swap before layer",
    swapEnd: "at the very end",
    swapFlat: (k: number, n: number) => `Up to the swap before layer ${k} of ${n}, the first answer keeps more than half of its value: what the class token held until then was not needed, the remaining layers read it again.`,
    swapNow: "Even the swap before layer 1 changes the answer.",
    causalSays: "With a causal mask a token sees only tokens before it. The class token stands first: it sees only itself.",
    causalChange: (change: string, reference: string) => `Put in another input, and the final class token moves by ${change}. Without the mask it moves by ${reference}.`,
    causalZero: "Nothing of the input reaches it. That is why decoders (GPT and kin) have no class token in front, and read the last token instead.",
    twoSays: "A second class token, with the same vector and the same position.",
    twoSame: (cosine: string) => `Cosine of the two at the end: ${cosine}. Two equal class tokens stay equal: nothing tells them apart. To specialise, they need other targets, other weights or another start.`,
    missing: "This experiment was not computed for this page. Start the page with --serve to try it.",
    working: "working …",
    failed: "That did not work:",
    answerNow: "Answer now",
    change: "change",
  },
  own: {
    button: "Your own",
    titleImage: "Your own picture",
    titleText: "Your own sentence",
    drop: "Drop a picture here, paste one, or choose a file (PNG, JPEG or WebP, up to 8 MB).",
    choose: "Choose a file",
    camera: "Use the camera",
    snap: "Take the picture",
    text: "Type or paste a sentence",
    go: "Walk through it",
    served: (name: string, kind: string) => `A page on disk cannot run the model. With Python: classtoken walkthrough ${kind} --model ${name} --serve`,
    busy: "The model is at work …",
    noCamera: "There is no camera, or the browser does not allow it.",
  },
  errors: {
    empty: "Nothing to show",
    emptySays: "This page holds no walkthrough. Make one with: classtoken walkthrough --model builtin:scenes --out page.html",
    broken: "This walkthrough cannot be drawn",
    offline: "The server does not answer. Is classtoken walkthrough --serve still running?",
    key: "The key is missing: open the address that classtoken printed, with everything after the #.",
    gaps: "This model does not give everything:",
    noClass: "This model has no class token. Its answer is read from other tokens; the steps show what can be shown.",
  },
  keysList: [
    ["→ / ←", "next / previous step"],
    ["Home / End", "first / last step"],
    ["L / Shift+L", "one layer deeper / back"],
    ["H", "next head"],
    ["T", "tables on or off"],
    ["C", "concepts"],
    ["D", "dark or light"],
    ["Arrow keys in a picture, row or strip", "choose another one"],
    ["Enter on a number", "where it comes from"],
    ["Esc", "back in the arithmetic, or close"],
  ] as [string, string][],
  matrix: {
    title: "Whole attention matrix",
    load: "Load the whole matrix",
    says: "row: who reads; column: who is read",
    served: "Whole matrices need --serve: they are too large for a page on disk.",
  },
  points,
};

export interface Concept {
  title: string;
  says: string[];
  evidence?: string;
}

/** The Concepts section. A sentence that research contradicts stands with its evidence. */
export const concepts: Concept[] = [
  {
    title: "Why a class token, and why “CLS”?",
    says: [
      "A transformer gives one vector per token. Most uses need one vector per input. BERT (2018) put a special piece [CLS], for classification, in front of every sentence and read its final state; ViT (2020) did the same for pictures.",
      "It belongs to no word and no patch, so it has no content of its own to carry along: its place is free for what the answer needs.",
    ],
  },
  {
    title: "Learned, not fixed; position zero; both ways",
    says: [
      "The class token's first vector is a parameter like any weight: training changes it, using the model does not.",
      "Position zero is a convention. Attention has no direction here: the class token reads all tokens, and all tokens read the class token, in every layer.",
    ],
  },
  {
    title: "Why not in a causal decoder?",
    says: [
      "In GPT and its kin a token sees only what stands before it. A token at position zero would see only itself: its state would be the same for every input. Step 10 shows that, live: distance 0. Decoders read their last token instead.",
    ],
  },
  {
    title: "Class token, average, maximum, learned pooling: the trade-offs",
    says: [
      "Class token: one vector that the model was trained to read. Needs training with it; costs one token.",
      "Average: no parameter, steady, what most sentence models use. Every piece counts the same, the background too.",
      "Maximum: keeps the strongest value of each number; sensitive to a single token.",
      "Learned weighted average: one weight per token or position; little to learn, better than a plain average where few tokens matter.",
      "Multi-head attention pooling (MAP): a learned query reads the final tokens, as in SigLIP and CoCa: a class token that comes late.",
      "All tokens into the classifier: keeps everything, and has the most to learn and to overfit.",
      "Which is best depends on the model and the task: `classtoken compare` measures it on your data.",
    ],
  },
  {
    title: "Registers, distillation tokens, class attention",
    says: [
      "Registers (DINOv2, DINOv3) are learned tokens that are never read out. Large models tend to misuse plain patches as scratch paper; registers take that over and keep maps clean.",
      "A distillation token (DeiT) is a second class token whose target is a teacher's answer. It differs from the first because its target differs.",
      "Class attention (CaiT) adds the class token only in the last layers, which then only update it.",
    ],
  },
  {
    title: "What attention does not tell",
    says: [
      "A weight says how much of a value enters, not what the value holds, nor whether the answer would change without it.",
      "What the class token did not look at may still have reached it, through tokens that it did look at.",
      "Heads can park attention where it does nothing: on [SEP], on a patch of sky, on the class token itself.",
      "So next to each map this page cuts what was attended and compares with cutting at random.",
    ],
    evidence: "Jain & Wallace 2019 (“Attention is not explanation”), Wiegreffe & Pinter 2019 (“not not”); Clark et al. 2019 for [SEP]; Kobayashi et al. 2020 for the length of values.",
  },
  {
    title: "“The class token cannot receive information in the first layer”: false",
    says: ["In layer 1 the class token attends to every patch. What is true: its own query is the same for every input there, and the others learn nothing about the input from it."],
    evidence: "The attention of layer 1 in step 5, and the curve of step 8: the states of two inputs differ after layer 1 already.",
  },
  {
    title: "“Attention is spread out early and focused late”: not in general",
    says: ["In BERT the last layer's class token attends very broadly again; in some vision models attention is near even at all depths."],
    evidence: "Clark et al. 2019: 3.89 nats in BERT's last layer. For this model: the effective number of tokens in step 7.",
  },
  {
    title: "“The class token gradually gathers a summary”: contested",
    says: ["In several vision models, swapping class tokens between pictures in early layers leaves the final answer as it was: the last layers read the patches again. “Reads out” is safer than “accumulates”."],
    evidence: "For this model: the swap curve of step 10.",
  },
  {
    title: "“The class token beats averaging”: it depends",
    says: ["With a frozen vision model and a linear classifier it often does. Trained from scratch, averaging is as good or better; for sentence likeness without fine-tuning it is far better."],
    evidence: "Beyer et al. 2022 (plain ViT-S/16: 76.5 with averaging against 75.0); Reimers & Gurevych 2019 (untuned BERT on sentence likeness: 54.81 averaged, 29.19 class token); SimCSE reverses it (82.5 class token, 81.2 averaged).",
  },
];

export const familiesTitle = "Who uses what";
export const familiesColumns = ["Family", "Class token", "Registers", "Read-out", "Note"];
