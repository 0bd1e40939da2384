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
  register: { name: "register", says: "a learned scratch token: layers may keep notes here; it is never read out" },
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

const TOGETHER: Record<string, string> = { class: "the class token", distillation: "the distillation token", content: "all the rest", register: "the registers", end: "the end token" };
const several = (e: Example) => e.tokens.filter((token) => token.role === "class").length > 1;

/** How the class token takes part in the answer: alone, with others, or not at all. */
function readFrom(m: ModelCard, e: Example): string {
  if (m.readout.reads_class_token)
    return `At the end the answer is read from this one token alone. So whatever the answer uses of your ${thing(m)} must get into it on the way: how, is the story of the next steps.`;
  if (several(e) && m.readout.reads.join() === "class")
    return `This model has several: the answer is read from all of them. In the bar at the bottom you choose the one to watch.`;
  if (m.readout.reads.includes("class") && m.outcome !== "cosine") {
    const rest = m.readout.reads.filter((role) => role !== "class").map((role) => TOGETHER[role] ?? role);
    return `At the end the answer is read from it together with ${rest.join(" and ")} (${m.readout.says}).`;
  }
  return `This model's makers do NOT take their result from it but from ${m.readout.says}. It takes part all the same, so it can be watched.`;
}

const steps: ((m: ModelCard, e: Example) => StepText)[] = [
  (m, e) => ({
    short: image(m) ? "Patches" : "Word pieces",
    title: image(m) ? "The picture becomes a row of vectors" : "The sentence becomes a row of vectors",
    says: image(m)
      ? [
          `The picture is cut into ${e.input.grid?.join(" × ") ?? ""} squares, called patches. Each patch becomes a list of ${m.hidden} numbers, its vector: blue below zero, orange above. ${
            m.stem === "convolutions"
              ? "Small learned filters (convolutions) make them from the patch's pixels and a few around it."
              : "Every number is a weighted sum of that patch's pixels, with weights that were learned in training."
          }`,
          `Click a patch to see its vector. From here on the model sees no pixels, only these vectors; it calls them tokens.`,
        ]
      : [
          `The sentence is cut into word pieces; with the marks in square brackets, which its makers added, there are ${e.tokens.length}. For each piece the model keeps a learned list of ${m.hidden} numbers, its vector: blue below zero, orange above.`,
          `Click a piece to see its vector. From here on the model sees no letters, only these vectors; it calls them tokens.`,
        ],
    formula: image(m) ? (m.stem === "convolutions" ? "vector = learned filters(pixels)" : "vector = W · pixels + b") : "vector = table[piece]",
    beware: m.stem === "convolutions"
      ? "A patch's vector already knows a little of the pixels around it, but not yet where in the picture it stands."
      : `One ${piece(m)}'s vector knows nothing of its neighbours yet, nor of where it stands.`,
  }),
  (m, e) => ({
    short: "Class token",
    title: several(e) ? "Class tokens are put in front" : m.readout.reads.includes("class") && m.outcome !== "cosine" ? "One more token is put in front" : "A class token stands in front, too",
    says: [
      `${several(e) ? "Tokens are put before the others: class tokens, gold on this page. The" : "One token more is put before the others: the class token, gold on this page. Its"} ${m.hidden} numbers${several(e) ? " of each" : ""} are not made from the ${thing(m)}. They were learned in training and are the same for every ${thing(m)}. See for yourself: here are two inputs. Their ${piece(m, true)} differ, their class tokens do not.`,
      readFrom(m, e),
      `“Class”, or CLS, is short for classification, its first use.`,
    ],
    formula: `tokens = [class, ${piece(m)} 1, ${piece(m)} 2, …]`,
    beware: "“The same for every input” is true only here, before the first layer. One layer later it has read your input.",
  }),
  (m) => ({
    short: "Positions",
    title: "Every token is told where it stands",
    says: [
      m.position.kind === "added"
        ? `The model treats tokens as a heap, not as a row: by itself it could not tell the first from the last. So a learned vector for the place is added to each, number by number. The class token's place is 0.`
        : `The model treats tokens as a heap, not as a row. This one adds no vector for the place here: ${m.position.says}.`,
      m.position.kind === "added"
        ? `The colours show how alike the chosen token's position vector is to all the others.`
        : `The vectors go into the first layer as they are.`,
    ],
    formula: m.position.kind !== "added" ? null : m.shared.embedding_norm ? "token = norm(vector + position)" : "token = vector + position",
    beware: m.position.says.startsWith("sines") ? "These position vectors are a fixed formula; what the model makes of them, it has learned." : "If neighbours have similar position vectors, the model has learned that; it is not built in.",
  }),
  (m) => ({
    short: "Scores",
    title: "The class token compares itself with every token",
    says: [
      `Now the class token looks around. It does so in ${m.depth} rounds, called layers. In each it asks a question, its query: ${m.head_size} numbers made from its own vector. Every token holds up a label, its key: ${m.head_size} numbers made from the token's vector.`,
      `Multiply the two number by number, add up, divide by √${m.head_size}: that is the score. The better a token fits the question, the higher. The class token scores itself as well.`,
      `${m.heads} heads do this side by side, each with a question of its own. Choose layer and head in the bar at the bottom.`,
    ],
    formula: "score = query · key / √d",
    beware: "A score alone says nothing: only differences count. If every score rose by 5, nothing would change.",
  }),
  () => ({
    short: "Weights",
    title: "Scores become shares of attention",
    says: [
      `Each head's scores are turned into shares (the formula is called softmax): all positive, together exactly 1. One point more in score makes the share 2.7 times as large. These shares are the class token's attention: the heat map that people print.`,
      `It goes both ways: the other tokens read the class token, too. Switch to “who reads it”.`,
    ],
    formula: "weight = exp(score) / sum of all exp(score)",
    beware: "",
  }),
  (m) => ({
    short: "Update",
    title: "The class token takes in what it looked at",
    says: [
      `Looking is one thing, taking in another. Every token also offers a value: ${m.head_size} numbers for others to take. Each head adds up all values, each times its weight, and a learned matrix brings the sum to ${m.hidden} numbers. That is added to what the class token already holds.`,
      `Then a small network on each token alone (feed-forward, ${m.feedforward} numbers wide) adds its part. That is one layer. Click a number in a strip to follow it.`,
    ],
    formula: m.norm === "pre" ? "state + attention + feed-forward = new state" : "norm(norm(state + attention) + feed-forward) = new state",
    beware: "A big weight on a token whose value is short brings little. Compare “share of attention” with “share of what was added” in step 5.",
  }),
  (m) => ({
    short: "Depth",
    title: `The same again, ${m.depth} times`,
    says: [
      `Each layer has its own learned numbers. Drag the layer in the bar at the bottom, or click a small map: the attention changes, and so does what the class token holds.`,
      `The lens asks: if the model had to answer after this layer, what would it say?`,
    ],
    formula: "state 0 → state 1 → … → answer",
    beware: "The lens reads an unfinished state with the last layer's tools. Not readable is not the same as not there.",
  }),
  (m) => ({
    short: "Before & after",
    title: "The same token, before and after",
    says: [
      `Above, the class token as it was learned; below, what it has become for this ${thing(m)}. Cosine says how alike two vectors are. The class token started alike for two inputs, cosine 1; the curve shows how the two drift apart, layer by layer.`,
      m.readout.reads_class_token ? "The lower vector is all that the answer is read from." : `The answer is read from ${m.readout.says}.`,
    ],
    formula: "cosine: 1 = same direction, 0 = nothing in common",
    beware: `It is tempting to say “a summary of the ${thing(m)}”. What we know is less: that the answer can be read from it. What else it holds would have to be measured.`,
  }),
  (m) => ({
    short: "Answer",
    title: m.outcome === "cosine" ? "One vector in, likeness out" : m.outcome === "sigmoid" ? "One vector in, one answer for each label" : "One vector in, one answer out",
    says:
      m.outcome === "cosine"
        ? [
            `This model knows no classes. It gives a vector, and vectors are compared: the cosine between two says how alike the model finds their inputs.`,
            `The vector is ${m.readout.says}.`,
          ]
        : [
            `For each class the model has learned one row of numbers. Row times vector, added up, is the class's raw score, called logit.${m.temperature === 1 ? "" : ` (Divided by ${number(m.temperature, 2)}, a number fitted after training so that confidences are honest.)`}`,
            m.outcome === "sigmoid"
              ? `A formula called sigmoid makes each a confidence of its own: ${m.classes ?? "all"} separate questions, whose answers need not sum to 1.`
              : `Softmax, as in step 5, makes them confidences that sum to 1 over ${m.classes ?? "all"} classes.`,
            `A confidence is what the model says, not how often it is right. Whether the two agree was measured, where it could be.`,
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
      `Change something and see whether the answer cares: of all that this page shows, only such tests show cause. Take ${piece(m, true)} away, swap the class token for another input's, read the answer from the mean or the maximum instead.`,
    ],
    formula: null,
    beware: "One input is one experiment. A rule needs many, and a control.",
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
    case "share":
      return `weight that ${token(b)} gives ${token(c)}, mean over heads (${layer})`;
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
  return token.text && token.text !== token.role ? token.text : roles[token.role].name;
}

/** A short name of an address, for links inside sentences and for the trail. */
export const words = {
  brand: "classtoken",
  tagline: "see one vector being made",
  intro: {
    title: "What you are about to see",
    answers: (m: ModelCard, best: string, sure: string) =>
      `This model was given the ${thing(m)} on the left, and its answer is ${best} (${sure}). To get there it turns the whole ${thing(m)} into ONE list of numbers, a vector, and reads the answer from that.`,
    compares: (m: ModelCard) => `This model turns a whole ${thing(m)} into ONE list of numbers, a vector, so that ${thing(m)}s can be compared.`,
    story: (m: ModelCard) => `Ten steps show how that vector is made, with this model's real numbers.${m.readout.reads.includes("class") && m.outcome !== "cosine" || m.readout.reads_class_token ? " Its main character is the class token: gold wherever you see it." : " One token is gold wherever you see it: the class token."} Go on with “Next”, or the arrow keys.`,
  },
  summary: {
    title: "What you have seen",
    is: "What it is.",
    isSays: (m: ModelCard) => `The class token is ${m.hidden} learned numbers, the same for every ${thing(m)}, put in front of the ${piece(m, true)}. In ${m.depth} layers it read the other tokens and became a vector for this one ${thing(m)}.${m.readout.reads_class_token ? "" : ` (What this model gives is ${m.readout.says}.)`}`,
    looked: "What it looked at.",
    lookedSays: (m: ModelCard, names: string, share: string) => `Over all layers and heads the ${piece(m, true)} that it looked at most are ${names}: together ${share} of its attention.`,
    object: (attention: string, area: string) => `Of its attention on patches, ${attention} fell on the object, which covers ${area} of the picture.`,
    not: "What you must not conclude.",
    notSays: (m: ModelCard, best: string) => `${m.outcome === "cosine" ? "That the vector came out like this" : `That it answered “${best}”`} because of them: to look is not yet to use.`,
    cuts: (more: number, all: number, word: string, most: string) =>
      `The test: cut off from the ${word} that it looked at most, layer by layer, its answer fell more than with other cuts in ${more} of ${all} layers${more ? `, by ${most} at the most` : ""}.${more < all ? " In the others, the picture of attention explains nothing." : ""}`,
    untested: "Whether they mattered was not tested for this input.",
  },
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
  bar: "Layer, head and steps",
  layer: "Layer",
  head: "Head",
  everyHead: "all",
  allHeads: "mean",
  allHeadsLong: "mean over all heads",
  tables: "Tables",
  tablesLong: "Show all numbers as tables",
  concepts: "Concepts",
  conceptsLong: "Concepts: what a class token is, who uses it, what attention does not tell",
  evidence: "Evidence.",
  step: (n: number) => `step ${n}`,
  theme: "Dark",
  print: "Print",
  keys: "Keys",
  size: (m: ModelCard) => `${m.depth} layers × ${m.heads} heads`,
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
  heatOf: {
    position: "likeness of position vectors",
    score: (layer: number, head: number) => `score, layer ${layer + 1}, head ${head + 1}`,
    weight: (layer: number, head: number | null) => `attention of the class token, layer ${layer + 1}, ${head === null ? "mean over heads" : `head ${head + 1}`}`,
    back: (layer: number, head: number | null) => `attention on the class token, layer ${layer + 1}, ${head === null ? "mean over heads" : `head ${head + 1}`}`,
  },
  ignored: "Hatch what it looked at least",
  watched: "Class token",
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
  op: { sum: "sum", mean: "mean", dot: "sum of products", softmax: "softmax", norm: "norm", gelu: "GELU", relu: "ReLU", sigmoid: "sigmoid", given: "given" },
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
  effectiveSays: "over how many tokens the attention is spread, as if evenly",
  effective: (x: number, n: number) => `spread as if evenly over ${x.toFixed(1)} of ${n} tokens`,
  self: "on itself",
  onSpecial: "on other special tokens",
  backMean: (share: string) => `A token gives the class token ${share} of its attention, on average over all tokens.`,
  brightest: "looked at most",
  readMost: "read it most",
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
    random: (low: string, high: string, n: number, p: string) => `Cutting as many others instead: between ${low} and ${high} (${n} other sets; p = ${p} for all that are shown).`,
    verdict: {
      needed: "Needed: without what it looked at here the answer falls, more than without others.",
      "in its way": "In its way: without what it looked at here the answer rises, more than without others.",
      "no more than chance": "No more than chance: this picture of attention does not explain the answer.",
      "too few to tell": "Too few to tell: with so few others to compare with, chance cannot be ruled out.",
      "no control": "There is nothing to compare with.",
    },
    small: "More than others do, and yet next to nothing: the answer hardly depends on what it looked at here.",
    none: "No knock-out was computed for this layer.",
    removal: (what: string, change: string) => `Taking ${what} away altogether: ${change}.`,
    needed: (what: string, word: string) => `The ${word} whose removal costs “${what}” most, one at a time:`,
    working: "The tests are being run …",
  },
  backBeware: "That a token reads the class token does not say that it makes use of what it finds there.",
  weightsBeware: (top: string, share: string, self: string | null) =>
    self === null
      ? `${top} gets ${share} of this attention. That is where the class token looked, not why the model answered.`
      : `The class token looks mostly at itself (${self}); of the others ${top[0].toLowerCase()}${top.slice(1)} gets most, ${share}. That is where it looked, not why the model answered.`,
  clipped: (list: string[]) => `brighter than this scale: ${list.join(", ")}`,
  notTestedBack: "What the others read from the class token was not cut off, so nothing is known here of whether it matters.",
  claims: "Over many inputs",
  claim: (value: string, low: string, high: string, n: number, data: string) => `${value} (95 % interval ${low} to ${high}; n = ${n}, ${data}).`,
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
  fromPixels: (stem: ModelCard["stem"]) => (stem === "convolutions" ? "enlarged; learned filters make of it:" : "enlarged; W · pixels + b makes of it:"),
  dimension: (i: number, of: number) => `number ${i} of ${of}`,
  positionMap: "likeness of position vectors",
  noPosition: "no position vector is added",
  before: "before",
  after: "after",
  headAdds: (h: number) => `head ${h} adds`,
  ledger: {
    state: "state",
    others: "the other heads",
    bias: "bias",
    middle: "after attention",
    feedforward: "feed-forward adds",
    next: "new state",
  },
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
  drawn: "This picture was drawn by classtoken. A model trained on photographs may well be lost on it: try a photograph of your own.",
  vectorOf: (m: ModelCard) => m.readout.says,
  numbersOf: (name: string, n: number) => `${name}: ${n} numbers`,
  query: "query",
  key: "key",
  ofClass: (what: string) => `${what}, class token`,
  of: (what: string, token: string) => `${what}, ${token}`,
  score: "score",
  weight: "weight",
  calibrationColumns: ["confidence", "n", "mean confidence", "right"],
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
    noPooling: (says: string) => `This model's classifier reads ${says}: no other single pooling fits it.`,
    poolingSays: "The same states, read out otherwise, through the same classifier.",
    swapSays: (donor: string) => `Before a layer, replace the class token's state by that of another input (${donor}), and let the model go on. If early states mattered, the answer would follow the donor.`,
    swapDonor: "Take it from",
    swapLayer: "Swap before layer",
    swapEnd: "at the very end",
    swapFlat: (k: number, n: number) => `Up to the swap before layer ${k} of ${n}, the first answer keeps more than half of its value: what the class token held until then was not needed, the remaining layers read it again.`,
    swapNow: "Even the swap before layer 1 changes the answer.",
    causalSays: "With a causal mask a token sees only tokens before it. The class token stands first: it sees only itself.",
    causalChange: (change: string, reference: string) => `Put in another input, and the final class token moves by ${change}. Without the mask it moves by ${reference}.`,
    causalZero: "Nothing of the input reaches it. That is why decoders (GPT and kin) have no class token in front, and read the last token instead.",
    twoSays: "One more class token, with the same vector and the same position.",
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
    disk: "A page on disk cannot run the model. With classtoken installed, one of these does:",
    exampleText: "My sentence.",
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
  loading: "The model is being walked through; this page appears when that is done …",
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
    says: (layer: number, head: number) => `layer ${layer + 1}, head ${head + 1}; row: who reads; column: who is read`,
    served: "Whole matrices need --serve: they are too large for a page on disk.",
  },
  points,
};

export interface Concept {
  title: string;
  says: string[];
  evidence?: string;
  live?: { step: number; says: string; causal?: boolean }; // where this page shows it
}

/** The Concepts section. A sentence that research contradicts stands with its evidence. */
export const concepts: Concept[] = [
  {
    title: "Why a class token, and why “CLS”?",
    says: [
      "A transformer gives one vector per token. Most uses need ONE vector per input: a classifier, a search, a comparison. BERT (2018) put a special piece [CLS], for classification, in front of every text and read its last state; ViT (2020) did the same for pictures.",
      "Any other token has a piece of the input to carry along. This one belongs to no word and no patch: its place is free for what the answer needs.",
    ],
    live: { step: 2, says: "See it put in front" },
  },
  {
    title: "Learned, not fixed",
    says: [
      "Its first vector is a parameter like any weight: training changes it, using the model does not. It is the same for every input, and it is not zero, not random, not made from the input.",
    ],
    live: { step: 2, says: "Two inputs, one class token" },
  },
  {
    title: "Position zero, and attention in both directions",
    says: [
      "Standing in front is a convention: with attention in both directions any fixed place would do. The class token reads all tokens, and all tokens read the class token, in every layer.",
    ],
    live: { step: 5, says: "What it reads, who reads it" },
  },
  {
    title: "Why not in a causal decoder?",
    says: [
      "In GPT and its kin a token sees only itself and what stands before it. A token at position zero would see only itself: its state would be the same for every input. So they read their last token, the only one that has seen everything, or a mean that counts later tokens more.",
    ],
    live: { step: 10, says: "Try the mask: the distance becomes 0", causal: true },
  },
  {
    title: "Class token, average, maximum, learned pooling: the trade-offs",
    says: [
      "Class token: one vector that the model was trained to read. Costs one token; worth nothing in a model that was not trained with it as its answer.",
      "Average: nothing to learn, steady; what most sentence models use. Every piece counts the same, the background too.",
      "Maximum: keeps the strongest value of each number; one odd token can decide it.",
      "Learned weights: one weight per token or place. Little to learn; better than an average where few tokens matter.",
      "Multi-head attention pooling: a learned query reads the finished tokens, as in SigLIP; a class token that comes late. Strong where the encoder was not trained for a class token; more weights to train.",
      "All tokens into the classifier: throws nothing away, and has the most to learn and to overfit; needs inputs of one size.",
      "Which is best depends on model and task. Measure it on your own data.",
    ],
    live: { step: 10, says: "Read this input's answer otherwise" },
  },
  {
    title: "BERT, ViT, DeiT, DINO, CLIP, SigLIP: who does what",
    says: [
      "BERT: [CLS] with a small layer on top for classifiers; for sentence vectors the average is usual. ViT: class token into the classifier. DeiT: class token, and in one version a distillation token beside it. DINO: no labels at all; the class token is trained to agree between different crops of one picture. CLIP: for pictures the class token, projected; for texts the end token. SigLIP: no class token; multi-head attention pooling.",
      "The table below is made from the code that loads these families.",
    ],
  },
  {
    title: "Registers, distillation tokens, class attention",
    says: [
      "Registers (DINOv2 with registers, DINOv3) are learned tokens that are never read out. Some large models use plain patches as scratch paper, which spoils their maps; registers take that over.",
      "A distillation token (DeiT) is like a second class token, but its target is another model's answer. It differs from the first because its target differs.",
      "Several class tokens with the same target and the same start stay equal; with a class of its own for each, they differ.",
      "Class attention (CaiT) adds the class token only in the last layers, where the patches no longer change.",
    ],
    evidence: "Darcet et al. 2024 for registers; but replacing a register's numbers by a constant left accuracy as it was (Sun et al. 2024): what they hold is disputed.",
    live: { step: 10, says: "Put in a second class token" },
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
    live: { step: 5, says: "The map, and its test" },
  },
  {
    title: "“The class token cannot receive information in the first layer”: false",
    says: ["In layer 1 the class token attends to every patch. What is true: its own query is the same for every input there, and the others learn nothing about the input from it."],
    evidence: "Here: the attention of layer 1 in step 5, and the curve of step 8, where the states of two inputs differ after layer 1 already.",
    live: { step: 8, says: "The curve" },
  },
  {
    title: "“Attention is spread out early and focused late”: not in general",
    says: ["In BERT the last layer's class token attends very broadly again, and in between much attention is parked on [SEP]. In masked autoencoders it is near even at all depths."],
    evidence: "Clark et al. 2019: 3.89 nats in BERT's last layer. For this model: the effective number of tokens.",
    live: { step: 7, says: "Layer by layer, over many inputs" },
  },
  {
    title: "“The class token gradually gathers a summary”: contested",
    says: ["In several vision models, swapping class tokens between pictures in early layers is reported to leave the final answer as it was: the last layers read the patches again. “Reads out” is safer than “accumulates”."],
    evidence: "Laboratory notes, not peer reviewed (lrast, 2026: ViT-B, DeiT, BEiT, DINOv2-B, CLIP). For this model: the swap, with n and interval.",
    live: { step: 10, says: "Swap it yourself" },
  },
  {
    title: "“The class token beats averaging”: it depends",
    says: ["With a frozen vision model and a linear classifier it often does. Trained from scratch, averaging did as well or better; for sentence likeness without fine-tuning it is far better."],
    evidence: "Beyer et al. 2022 (plain ViT-S/16, 90 epochs: 76.5 averaged, 75.0 class token); Reimers & Gurevych 2019 (untuned BERT on sentence likeness: 54.81 averaged, 29.19 class token); Gao et al. 2021 reverse it (SimCSE: 82.5 class token, 81.2 averaged).",
  },
];

export const familiesTitle = "Who uses what: the families that classtoken reads";
export const familiesColumns = ["Family", "for example", "Class token", "Registers", "Read-out", "Why"];
