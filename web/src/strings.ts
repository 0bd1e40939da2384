/** Every sentence that the page says, in one place; a translation is another file with the same shape. */
import { bare, isolated } from "./bidi";
import { open } from "./blocks";
import type { Example, ModelCard, RoleName } from "./data";
import { number, percent, points } from "./format";
import { afterLayers, capital, headName, headOrMean, layerName, numberName, span, tokenName } from "./names";
import { neighbours } from "./maths/findings";
import { parse, type Address } from "./maths/origin";
import { pooledCount, story } from "./maths/story";

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

/** What a token is, in a table: a piece of the input is called what it is. */
export const roleName = (role: RoleName, m: ModelCard): string => (role === "content" ? piece(m) : roles[role].name);

interface StepText {
  short: string;
  title: string;
  says: string[]; // two sentences, seen at once
  more: string[]; // the rest, when asked for
  look: string; // what to look at here, in a few words
  note: string; // what a teacher may say
  hands?: string; // what to press or click, which paper cannot
  formula: string | null;
  beware: string;
}

/** What the input is cut into: its word pieces, and the marks that the model's makers add. */
function counted(m: ModelCard, e: Example): string {
  const [pieces, marks] = [e.tokens.filter((token) => token.role === "content").length, e.tokens.filter((token) => token.role === "end").length];
  return `${pieces} ${piece(m, pieces !== 1)}${marks ? ` and ${marks} end ${marks === 1 ? "mark" : "marks"}` : ""}`;
}

const TOGETHER: Record<string, string> = { class: "the class token", distillation: "the distillation token", register: "the registers", end: "the end token" };
/** Those tokens that are no piece of the input, the watched one among them. */
function marks(e: Example): string {
  const others = e.tokens.some((token, t) => token.role !== "content" && t !== e.watched);
  if (e.watched === null || e.tokens[e.watched].role === "content") return "special tokens";
  return others ? "itself and other special tokens" : "itself";
}
const counting = (n: number, word: string): string => `${n} ${word}${n === 1 ? "" : "s"}`;
const several = (e: Example) => e.tokens.filter((token) => token.role === "class").length > 1;

/** The token that is watched: the class token, or one of those that the vector is made from. */
export function reader(e: Example): string {
  const told = story(e);
  if (told === "class") return "the class token";
  if (told === "last") return ends(e) ? "the end token" : "the last token";
  return tokenName(e.watched ?? 0, e);
}

/** Whether the last token, which is read, is the mark that stands behind every input, as in CLIP's texts. */
export const ends = (e: Example): boolean => story(e) === "last" && e.tokens[e.watched ?? 0]?.role === "end";

/** Roles whose tokens have no position vector added, where others have: registers. */
const placeless = new WeakMap<Example, RoleName[]>();
function withoutPlace(e: Example): RoleName[] {
  let found = placeless.get(e);
  if (!found) {
    const rows = e.embeddings.position ? open(e.embeddings.position) : null;
    found = rows ? [...new Set(e.tokens.filter((_, t) => rows.row(t).every((x) => x === 0)).map((token) => token.role))] : [];
    placeless.set(e, found);
  }
  return found;
}
/** Whether a position vector is added to this token. */
export const placed = (t: number, e: Example): boolean => e.embeddings.position !== null && !withoutPlace(e).includes(e.tokens[t].role);
const plural: Partial<Record<RoleName, string>> = { class: "the class token", distillation: "the distillation token", register: "the registers" };

/** The tokens in their order, as a formula has them: `class, register 0, …, patch 0, patch 1, …, end`. */
function order(m: ModelCard, e: Example): string {
  const runs: { role: RoleName; count: number }[] = [];
  for (const { role } of e.tokens) {
    const last = runs.at(-1);
    if (last?.role === role) last.count += 1;
    else runs.push({ role, count: 1 });
  }
  const called = (role: RoleName) => (role === "content" ? piece(m) : role === "distillation" ? "distilled" : role === "end" ? "end" : role);
  return runs.map(({ role, count }) => (role === "content" ? `${piece(m)} 0, ${piece(m)} 1, …` : count === 1 ? called(role) : `${called(role)} 0, …`)).join(", ");
}

/** Of the learned tokens beside the class token: what they are there for. */
function besideIt(e: Example): string[] {
  const registers = e.tokens.filter((token) => token.role === "register").length;
  return [
    ...(e.tokens.some((token) => token.role === "distillation") ? ["The distillation token beside it is learned, too: a second class token, trained to repeat a teacher's answer."] : []),
    ...(registers ? [`The ${registers === 1 ? "register beside it is" : `${registers} registers beside it are`} learned, too: scratch paper, in which layers may keep notes, and never read out.`] : []),
  ];
}

/** How one vector comes of all, where there is no class token. */
function pooling(m: ModelCard, e: Example): string {
  const all = `all ${pooledCount(e)} ${piece(m, true)}`;
  switch (story(e)) {
    case "last":
      if (ends(e)) return m.causal ? "The end token is read: behind all the others, it alone has seen them." : "The end token is read.";
      return m.causal ? "The last token is read: it alone has seen all the others." : "The last token is read.";
    case "sum":
      return `At the end ${all} are averaged.`;
    case "largest":
      return `At the end the largest of each number over ${all} is kept.`;
    case "query":
      return `At the end a learned query reads ${all}: a class token that comes late.`;
    default:
      return `The result is ${m.readout.says}.`;
  }
}

/** Whether scores are divided by the root of the head size: most models do, some have learned to do without. */
export const divided = (m: ModelCard): boolean => Math.abs(m.score_scale * Math.sqrt(m.head_size) - 1) < 1e-3;

/** Whether the learned places know who stands beside whom: some models' do, a small one's may not. */
function placesSay(m: ModelCard, e: Example): string {
  if (m.position.says.startsWith("sines")) return "A fixed formula; what the model makes of it was learned.";
  const alike = neighbours(e);
  if (!alike) return "What the model makes of places was learned, not built in.";
  const pair = `(${number(alike.beside, 2)}, others ${number(alike.apart, 2)})`;
  return alike.beside > alike.apart + 0.05 ? `That neighbours are alike ${pair} was learned, not built in.` : `Neighbours are ${alike.beside < alike.apart ? "no" : "hardly"} more alike than others here ${pair}: nothing built that in.`;
}

/** What a model would know of places if nobody told it: with a causal mask, only who came before. */
const unplaced = (m: ModelCard): string => (m.causal ? "By itself a token knows which others come before it, but not how near." : "By itself the model could not tell first from last.");

/** Step 2 of a model without a class token. */
const noClassToken = (m: ModelCard, e: Example): StepText => ({
  short: "No class token",
  look: story(e) === "last" ? "The last row: it alone is read." : "The last column: likeness without it.",
  note: ends(e) ? `The empty place is at the end here. ${pooling(m, e)}` : `There is no empty place here. ${pooling(m, e)}`,
  title: ends(e) ? "A mark at the end is read" : "Nobody is put in front",
  says: ["This model has no class token.", pooling(m, e)],
  more: [
    ends(e)
      ? `What goes in for the end token is learned, and the same for every ${thing(m)}, as a class token's would be. It stands behind, since a token here reads only what comes before it.`
      : `No vector here is the same for every ${thing(m)}: each token begins as its own ${piece(m)}, and has that to carry along.`,
    story(e) === "last" ? `The page follows ${reader(e)}, coloured gold, on its way.` : `The page follows ${reader(e)}, coloured gold: one of ${pooledCount(e)}, and one that gives the result much. In the bar at the bottom you choose another.`,
    ...(story(e) === "last" ? [] : ["The table shows what each token gives in the end, and how alike the vector stays without it."]),
  ],
  formula: { last: ends(e) ? "vector = end token" : "vector = last token", sum: "vector = sum of share × token", largest: "vector = largest of each number", query: "vector = attention(query, tokens)", class: null, other: null }[story(e)],
  beware: ends(e) ? "It is the same for every input only here: one layer later it has read yours." : story(e) === "last" ? "It is a token of your input, not a learned one." : "What is followed is one of many: an example.",
});

/** How the class token takes part in the answer: alone, with others, or not at all. */
function readFrom(m: ModelCard, e: Example): string {
  if (m.readout.reads_class_token) return `At the end the answer is read from this one token alone.`;
  if (several(e) && m.readout.reads.join() === "class") return `At the end the answer is read from all of them.`;
  if (m.readout.reads.includes("class") && m.outcome !== "cosine") {
    const rest = m.readout.reads.filter((role) => role !== "class").map((role) => (role === "content" ? `all ${piece(m, true)}` : (TOGETHER[role] ?? role)));
    return `At the end the answer is read from it together with ${rest.join(" and ")}.`;
  }
  if (e.pooled && m.readout.reads.includes("class")) return `The result is ${m.readout.says}: it counts as one of ${pooledCount(e)}.`;
  return `This model's makers take their result from elsewhere: ${m.readout.says}.`;
}

const steps: ((m: ModelCard, e: Example) => StepText)[] = [
  (m, e) => ({
    short: image(m) ? "Patches" : "Word pieces",
    look: image(m) ? "The framed patch is one row of numbers." : "The framed piece is one row of numbers.",
    note: `${capital(counted(m, e))}, ${m.hidden} numbers each${story(e) === "class" ? ", and one empty place. Everything else is how the empty place is filled" : ". Everything else is how they become ONE vector"}. Ask: where does the model write its answer down?`,
    title: image(m) ? "The picture becomes a row of vectors" : "The sentence becomes a row of vectors",
    says: image(m)
      ? [`Cut into ${e.input.grid?.join(" × ") ?? ""} patches, each becomes a vector: ${m.hidden} numbers.`]
      : [`${capital(counted(m, e))} become vectors: ${m.hidden} numbers each.`],
    more: [
      `From here on the model sees only these vectors.`,
      ...(image(m)
        ? [
            m.stem === "convolutions"
              ? "Small learned filters (convolutions) make the numbers from the patch's pixels and a few around it."
              : "Every number is a weighted sum of that patch's pixels, with weights that were learned in training.",
          ]
        : ["The sentence is cut into word pieces; the marks in square brackets were added by the model's makers. For each piece the model keeps a learned list of numbers."]),
      `Blue stands for numbers below zero, orange for those above. The model calls these vectors tokens.`,
      `Patches, layers, heads and numbers are counted from 0, as in Python and on the command line.`,
    ],
    hands: `Click a ${piece(m)} to see its vector.`,
    formula: image(m) ? (m.stem === "convolutions" ? "vector = learned filters(pixels)" : "vector = W · pixels + b") : "vector = table[piece]",
    beware: m.stem === "convolutions" ? "A vector knows a little of the pixels around its patch, but not its place." : `A ${piece(m)}'s vector knows nothing of its neighbours yet.`,
  }),
  (m, e) => story(e) !== "class" ? noClassToken(m, e) : ({
    short: "Class token",
    look: "Two inputs: equal gold strips.",
    note: `Another ${thing(m)}, other ${piece(m, true)}, the same class token, number by number: it was learned, not computed.`,
    title: several(e) ? "Class tokens are put in front" : m.readout.reads_class_token || (m.readout.reads.includes("class") && m.outcome !== "cosine") ? "One more token is put in front" : "A class token stands in front, too",
    says: [`The class token, gold, is ${m.hidden} learned numbers${several(e) ? " for each class" : ""}, the same for every ${thing(m)}.`, readFrom(m, e)],
    more: [
      `Its numbers are not made from the ${thing(m)}; training made them. Here are two inputs: their ${piece(m, true)} differ, their class tokens do not.`,
      ...(m.readout.reads_class_token ? [`So whatever the answer uses of your ${thing(m)} must get into it on the way: how, is the story of the next steps.`] : ["It takes part in every layer all the same, so it can be watched."]),
      ...besideIt(e),
      `“Class”, or CLS, is short for classification, its first use.`,
    ],
    hands: several(e) ? "In the bar at the bottom you choose the one to watch." : undefined,
    formula: `tokens = [${order(m, e)}]`,
    beware: "“The same for every input” ends here: one layer later it has read yours.",
  }),
  (m, e) => ({
    short: "Positions",
    look: m.position.kind === "added" ? "Bright: a place like the chosen one." : "Each pair of strips: before and after are equal.",
    note: `Without places the model sees ${m.causal ? "no more than who came before" : `a heap of ${piece(m, true)}`}.${story(e) === "class" && placed(e.watched ?? 0, e) ? " The class token has a place, too." : ""}`,
    title: m.position.kind === "none" ? "Nobody is told where it stands" : withoutPlace(e).length ? `Every ${piece(m)} is told where it stands` : "Every token is told where it stands",
    says: [
      m.position.kind === "added"
        ? `${unplaced(m)} So a vector for the place is added to each${withoutPlace(e).length ? ` but ${withoutPlace(e).map((role) => plural[role] ?? roles[role].name).join(" and ")}` : ""}.${story(e) === "class" && placed(e.watched ?? 0, e) ? ` The class token's place is ${e.watched}.` : ""}`
        : `${unplaced(m)} Here no vector is added: ${m.position.says}.`,
    ],
    more: [
      m.causal ? "A token reads only itself and those before it, which is all that the order does by itself." : "The model treats tokens as a heap, not as a row.",
      m.position.kind === "added" ? `The colours show how alike the chosen token's position vector is to all the others.` : `The vectors go into the first layer as they are.`,
    ],
    formula: m.position.kind !== "added" ? null : m.shared.embedding_norm ? "token = norm(vector + position)" : "token = vector + position",
    beware: placesSay(m, e),
  }),
  (m, e) => ({
    short: "Scores",
    look: "The bar under each score.",
    note: `A question and a label for each token. Alike means a high score: multiply and add, no more. Follow one number back.`,
    title: `${capital(reader(e))} compares itself with every token${m.causal ? " before it" : ""}`,
    says: [`Query times key gives a score: how well a token fits.`],
    more: [
      `The query is its question, a key a token's label. This happens in ${m.depth === 1 ? "one round, called a layer" : `${m.depth} rounds, called layers`}. Query and key are ${m.head_size} numbers each, made from the token's vector by learned weights. ${divided(m) ? `The product is divided by √${m.head_size}.` : ""} ${m.position.kind === "bias" ? "A learned number for the distance is added." : ""} ${capital(reader(e))} scores itself as well.`,
      m.heads === 1 ? "One head does this; larger models have several side by side." : `${m.heads} heads do this side by side, each with a question of its own.`,
    ],
    hands: "Choose layer and head in the bar at the bottom.",
    formula: `score = query · key${divided(m) ? " / √d" : ""}${m.position.kind === "bias" ? " + distance" : ""}`,
    beware: "Only differences between scores count.",
  }),
  (m, e) => ({
    short: "Weights",
    look: "The gold bars: shares, together 100 %.",
    note: `This map is what people print. It says where it looked. Does it say why? Read the dots: gold is this cut, grey are others of its size.`,
    title: "Scores become shares of attention",
    says: [`Softmax makes shares of the scores, together 1: the heat map.`],
    more: [
      `exp makes every score positive; dividing by the sum makes shares. The table first subtracts the largest score from all, which changes no share. One point more in score makes a share 2.7 times as large beside every other. A weight is a share of attention.`,
      m.causal ? (story(e) === "last" ? `A causal mask hides from each token those behind it; ${reader(e)} has none behind it.` : `Tokens behind ${reader(e)} are hidden from it by the causal mask.`) : `It goes both ways: the other tokens read ${reader(e)}, too.`,
    ],
    hands: m.causal ? undefined : "Switch to “who reads it”.",
    formula: "weight = exp(score) / sum of all exp(score)",
    beware: "",
  }),
  (m, e) => ({
    short: "Update",
    look: "The last column adds up.",
    note: `What it took in is added to what it held: nothing is replaced.`,
    title: `${capital(reader(e))} takes in what it looked at`,
    says: [`Shares times values, summed, times W: what the head adds.`],
    more: [
      `Every token offers a value: ${m.head_size} numbers for others to take. W, learned, makes ${m.hidden} numbers of each head's sum; those of all heads are added to what ${reader(e)} already holds.`,
      `Then a small network on each token alone (feed-forward, ${m.feedforward} numbers wide) adds its part. That is one layer.`,
    ],
    hands: "Click a number in a strip to follow it.",
    formula: m.norm === "pre" ? "state + attention + feed-forward = new state" : "norm(norm(state + attention) + feed-forward) = new state",
    beware: "A large share of a short value brings little.",
  }),
  (m) => ({
    short: "Depth",
    look: "Where the lens curve rises most.",
    note: `If it had to answer after this layer? Press play, and let the room call out the layer in which it turns.`,
    title: m.depth === 1 ? "One layer, and no more" : `The same again, ${m.depth} times`,
    says: [`The lens asks: what would it answer, stopped here?`],
    more: [`Each layer has its own learned numbers.`],
    hands: "Press play; drag the layer in the bar at the bottom, or click a small map.",
    formula: m.depth === 1 ? "state 0 → state 1 → answer" : "state 0 → state 1 → … → answer",
    beware: "What the lens cannot read yet may be there.",
  }),
  (m, e) => ({
    short: "Before & after",
    look: "Two strips: how little stays.",
    note: story(e) === "class" || ends(e) ? `The same learned numbers went in for every ${thing(m)}; what came out is of this one.` : `One ${piece(m)} went in; what came out has read the others.`,
    title: "The same token, before and after",
    says: story(e) === "class" ? [`Above, the class token as it goes in; below, as this ${thing(m)} left it.`] : [`Above, ${reader(e)} as it went in; below, as it came out.`, pooling(m, e)],
    more: [
      ...(story(e) === "class"
        ? [
            `The curve shows how two inputs drift apart. Cosine says how alike two vectors are; both started from the same class token, cosine 1.`,
            `The curve is drawn as the answer reads the states: after the final norm, where the model has one. Before it (dashed) one large number can rule the cosine.`,
          ]
        : []),
      ...(e.pooled?.without ? [`“Without it” is the cosine of the vector to the one that is made without that token, its state left as it is: 1 means that nobody would notice.`] : []),
      m.readout.reads_class_token ? "The lower vector is all that the answer is read from." : `The answer is read from ${m.readout.says}.`,
      `What we know is that the answer can be read from it. What else it holds would have to be measured.`,
    ],
    formula: story(e) === "class" ? "cosine: 1 = same direction, 0 = nothing in common" : noClassToken(m, e).formula,
    beware: `“A summary of the ${thing(m)}” is more than we know.`,
  }),
  (m) => ({
    short: "Answer",
    look: m.shared.head ? "The product strip adds up." : "The bars: what it answers, and how surely.",
    note: `A confidence is a claim of the model. Whether it keeps it was measured, or was not: read which.`,
    title: m.outcome === "cosine" ? "One vector in, likeness out" : m.outcome === "sigmoid" ? "One vector in, one answer for each label" : "One vector in, one answer out",
    says:
      m.outcome === "cosine"
        ? [`This model knows no classes: it gives a vector. The cosine between two says how alike it finds their inputs.`]
        : [
            `${m.shared.head ? "Row times vector is a class's score, the logit" : "The classifier makes a score for each class of the vector, the logit"}; ${m.outcome === "sigmoid" ? "sigmoid makes each a confidence" : "softmax makes confidences"}.`,
          ],
    more:
      m.outcome === "cosine"
        ? [`The vector is ${m.readout.says}.`]
        : [
            ...(m.temperature === 1 ? [] : [`Logits are divided by ${number(m.temperature, 2)}, a number fitted after training, which makes confidences more honest on the whole.`]),
            m.outcome === "sigmoid" ? `${m.classes ?? "All"} separate questions, whose answers need not sum to 1.` : `As in step 5: over ${m.classes ?? "all"} classes they sum to 1.`,
            `A confidence is what the model says, not how often it is right. Whether the two agree was measured, where it could be.`,
          ],
    formula: m.outcome !== "cosine" ? (m.shared.head ? "logit = row · vector + b" : "logits = classifier(vector)") : "likeness = cosine(vector, other vector)",
    beware:
      m.outcome === "sigmoid"
        ? "All low means “none of these”, not “nothing there”."
        : m.outcome === "probability"
          ? "It must choose: it cannot say “none of these”."
          : "Only the order counts: 0.8 in one model is not 0.8 in another.",
  }),
  (m) => ({
    short: "What if",
    look: "Whether the bar moves at all.",
    note: `Only here do we learn what mattered. Let the room guess before you click.`,
    title: "A laboratory",
    says: [`Change something: only such tests show cause.`],
    more: [`Take ${piece(m, true)} away, put another input's state in, read the answer from the mean or the maximum instead.`],
    formula: null,
    beware: "One input is one experiment: a rule needs many.",
  }),
];

export const stepText = (step: number, m: ModelCard, e: Example): StepText => steps[step - 1](m, e);

/** What a number is, in words. */
export function label(address: Address, m: ModelCard, e: Example): string {
  const { name, places } = parse(address);
  const [a, b, c, d] = places;
  const token = (t: number) => tokenName(t, e);
  const of = (t: number, i: number) => `${token(t)}, ${numberName(i)}`;
  const layer = layerName(a);
  const head = `${layer}, ${headName(b)}`;
  const [base, kind] = name.split(".");
  if (base === "head" && m.outcome === "cosine") return `vector of ${className(a, e)}, ${numberName(b)}`;
  if (kind) return `learned ${kind === "w" ? "weight" : "bias"} (${LEARNED[base.replace(/\d+$/, "")] ?? base})`;
  switch (name) {
    case "pixel":
      return `pixel, row ${b}, column ${c}`;
    case "before":
      return `vector of ${of(a, b)}`;
    case "position":
      return `position vector of ${of(a, b)}`;
    case "summed":
      return `vector + position of ${of(a, b)}`;
    case "after":
      return placed(a, e) ? `${of(a, b)}, with position` : `${of(a, b)}, as it goes into layer 0`;
    case "state":
      return `state of ${of(b, c)}, ${afterLayers(a)}`;
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
    case "counts":
      return `what ${token(a)} counts in the vector`;
    case "end":
      return `final ${of(a, b)}`;
    case "pooled":
      return `what is pooled, ${numberName(a)}`;
    case "distance":
      return `what the distance from ${token(c)} to ${token(d)} adds (${head})`;
    case "score":
      return `score that ${token(c)} gives ${token(d)} (${head})`;
    case "weight":
      return `weight that ${token(c)} gives ${token(d)} (${head})`;
    case "share":
      return `weight that ${token(b)} gives ${token(c)}, mean over heads (${layer})`;
    case "context":
      return `weighted sum of values for ${of(c, d)} (${head})`;
    case "rest":
      return `what the other tokens together bring to ${of(c, d)} (${head})`;
    case "headout":
      return `what ${headName(b)} adds to ${of(c, d)} (${layer})`;
    case "attention":
      return `what attention adds to ${of(b, c)} (${layer})`;
    case "middle":
      return `state of ${of(b, c)}, after attention (${layer})`;
    case "sum1":
    case "sum2":
      return `sum before the norm: ${of(b, c)} (${layer})`;
    case "up":
      return `feed-forward, hidden ${numberName(c)} for ${token(b)} (${layer})`;
    case "active":
      return `feed-forward, hidden ${numberName(c)} after the bend (${layer})`;
    case "feedforward":
      return `what feed-forward adds to ${of(b, c)} (${layer})`;
    case "final":
      return `final ${of(a, b)}`;
    case "vector":
      return `vector read out, ${numberName(a)}`;
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

/** A class's name without its synonyms: ImageNet calls a cat "tabby, tabby cat". */
export const shortLabel = (text: string): string => isolated(bare(text).split(/,|،/)[0]);
/** An answer inside a sentence; where answers are whole sentences, their first words. */
export const mention = (m: ModelCard, text: string): string => (m.outcome === "cosine" ? begun(text, 2) : begun(shortLabel(text), 3));
/** The first words of a text of more than `most`: it stands whole beside its bar. */
function begun(text: string, most: number): string {
  const parts = bare(text).trim().split(/\s+/);
  return parts.length <= most ? isolated(text) : isolated(`${parts.slice(0, most).join(" ")} …`);
}
/** What an experiment lowers or raises: a class's confidence, called by its name, or a likeness. */
export const asked = (m: ModelCard, text: string): string => `${m.outcome === "cosine" ? "the likeness to " : ""}“${mention(m, text)}”`;
const clip = (title: string): string => isolated(bare(title).length > 24 ? `${bare(title).slice(0, 23).trimEnd()}…` : title);
export const answerName = (e: Example): string => shortLabel(e.answers.labels[0].text);

const beyond = { layer: "layer", head: "head", token: "token", number: "number" };

/** A short name of an address, for links inside sentences and for the trail. */
export const words = {
  brand: "classtoken",
  tagline: "see one vector being made",
  intro: (m: ModelCard, e: Example, best: string, sure: string) =>
    story(e) !== "class"
      ? `Here a whole ${thing(m)} becomes ONE vector, without a class token. ${pooling(m, e)} Gold: ${reader(e)}.`
      : m.outcome === "cosine"
      ? `Here a whole ${thing(m)} becomes ONE vector${m.readout.reads_class_token ? "" : `: ${m.readout.says}`}. Watch the class token, gold${m.readout.reads_class_token || !m.readout.reads.includes("class") ? "" : ", one of them"}.`
      : `Given this ${thing(m)}, its answer is ${best} (${sure})${e.answers.typical !== null && e.answers.typical <= m.unlike ? ", though it looks like none of its classes" : ""}. Watch ONE vector on its way there: the class token, gold.`,
  river: {
    name: "The whole way",
    slider: (e: Example) => `Layer: what ${reader(e)} reads, and how sure ${story(e) === "class" ? "it" : "the model"} is`,
    at: (layer: number, peak: boolean) => `${layerName(layer)}${peak ? ", where the answer rises most" : ""}`,
    watched: (e: Example) => (story(e) === "class" ? "class token" : reader(e)),
    count: (e: Example, n: number) => (e.input.grid ? String(n) : `${n} ${n === 1 ? "piece" : "pieces"}`),
    vectors: (n: number, word: string, size: number, long: boolean) => (long ? `${n} ${word}, ${size} numbers each` : `${n} ${word}`),
    layers: (m: ModelCard, e: Example, long: boolean) => {
      const reads = story(e) === "class" ? "the class token reads all tokens" : m.causal ? "each token reads those before it" : "every token reads all the others";
      return long ? `${counting(m.depth, "layer")}: in ${m.depth === 1 ? "it" : "each"}, ${reads}` : counting(m.depth, "layer");
    },
    answer: "Answer",
    changed: "the answer now",
    moreAnswers: (n: number) => `and ${n.toLocaleString("en")} more`,
    answers: (m: ModelCard) => (m.outcome === "cosine" ? "likeness to" : "the answer"),
    lens: (layer: number, lens: boolean) => (lens ? (layer ? `if it answered ${afterLayers(layer)}` : "if it answered now") : "the answer"),
    pooled: (n: number) => `${n === 2 ? "both" : `all ${n}`} tokens are read`,
    flag: (layer: number, what: string, lens: boolean, from: string, to: string) => ({
      long: lens ? `${layerName(layer)}: here “${what}” rises most (${from} → ${to})` : `${layerName(layer)}: the largest step towards the result`,
      short: lens ? `${layerName(layer)}: ${from} → ${to}` : `${layerName(layer)}: the largest step`,
    }),
    play: "Play",
    pause: "Pause",
    playLong: "Run through the layers (space)",
    lensCard: (what: string, lens: boolean) => (lens ? `“${what}” if it answered now` : "likeness to how it ends"),
    rise: (from: string, to: string) => `${from} → ${to}`,
  },
  funnel: {
    title: (layer: number, head: number) => `${capital(layerName(layer))}, ${headName(head)}: from scores to what is added`,
    heads: (layer: number) => `${capital(layerName(layer))}: shares of all heads`,
    rest: (n: number) => `${n} ${n === 1 ? "other" : "others"}`,
    score: "score",
    power: (highest: string) => `exp(score − ${highest})`,
    powerSays: "The largest score is subtracted from all: the shares are the same, and no number grows too large.",
    share: "share",
    value: (k: number) => `value, no.\u00a0${k}`,
    brought: (k: number) => `share × value, no.\u00a0${k}`,
    sum: "sum",
    added: "length added",
    removed: "if taken away",
    sink: "hardly used",
    sinkSays: "Looked at a lot, hardly used: among the tokens most attended over all layers, and taking it away hardly moves the answer.",
  },
  pooled: {
    title: (e: Example) => ({ largest: "One vector of many: the largest of each number", query: "One vector of many: what the learned query reads" })[e.pooled!.kind as "query"] ?? "One vector of many: added up",
    weight: (e: Example) => (e.pooled!.kind === "largest" ? "numbers that are its own" : "share"),
    state: (d: number) => `state, no.\u00a0${d}`,
    given: (d: number) => `share × state, no.\u00a0${d}`,
    without: "likeness without it",
    same: (x: string) => `Nobody would notice without the class token: the vector stays ${x} like itself.`,
    vector: "the vector",
  },
  place: (t: number, name: string) => `position ${t}: ${name}`,
  places: (from: number, to: number) => `patches at positions ${from} to ${to}, left to right, top to bottom`,
  allVectors: (n: number, size: number) => `${n} vectors of ${size} numbers, one a row`,
  allVectorsSays: (n: number, size: number) => `${n} ${n === 1 ? "row" : "rows"}, one a token; ${size} numbers each`,
  beyond: (i: number, value: string) => `${numberName(i)} is ${value}: beyond this scale`,
  logitOf: (name: string) => `row of “${name}”`,
  product: "row × vector",
  vectorOfOther: (name: string) => `vector of “${name}”`,
  cosineProduct: "the two, multiplied",
  cosine: "cosine",
  logit: "logit",
  through: (n: number) => counting(n, "layer"),
  beside: { title: (layer: number) => `All inputs in ${layerName(layer)}`, button: "Side by side" },
  pair: {
    title: "Why are two of them alike?",
    says: "A report takes the likeness of two inputs apart, exactly: which part of the one met which of the other, and whether it matters.",
    second: "the second",
    command: "This command writes it:",
    copy: "Copy",
    make: "Make the report",
    making: "The report is being made …",
    open: "Open the report",
    none: "A drawing of the package's own has no file that a command could take.",
    go: "Why this likeness?",
  },
  link: { short: "Link", long: "A link to exactly this view", copied: "Copied", refused: "The browser does not allow it: mark the line", local: "On this machine, while the server runs" },
  more: "more",
  lookLong: "What to look at here: point at this sentence, or press W, and it is outlined",
  notes: "What to say (N)",
  looksOptions: "view",
  claimsShort: "Measured",
  presenter: "Present",
  presenterLong: "Large type for a projector (P)",
  crumbs: "You are here",
  dimensionShort: numberName,
  claimsLong: "Over many inputs: what was measured, with its control",
  claimsNone: "Nothing was measured over many inputs here: the package makes none of the kind that this model was trained on. With --data FOLDER the statistics are of your own.",
  summary: {
    title: "What you have seen",
    short: "in three sentences",
    is: "What it is.",
    isSays: (m: ModelCard, e: Example) => story(e) !== "class" ? `One vector for this ${thing(m)}, without a class token. ${pooling(m, e)} The page followed ${reader(e)}.` : `${m.hidden} learned numbers that became one vector for this ${thing(m)}${m.readout.reads_class_token ? "" : `; the result is ${m.readout.says}`}.`,
    looked: "What it looked at.",
    lookedSays: (m: ModelCard, e: Example, names: string, share: string, special: string | null) =>
      special === null ? `Most at ${names} (together ${share}, over all layers and heads).` : `${special} at ${marks(e)}; of the ${piece(m, true)} most at ${names} (together ${share}, over all layers and heads).`,
    object: (attention: string, area: string) => `${attention} on the object (area ${area}).`,
    not: "What you must not conclude.",
    notSays: (_m: ModelCard, _best: string) => `To look is not to use:`,
    cuts: (counts: { needed: number; way: number; chance: number; few: number }, word: string, most: string) => {
      const all = counts.needed + counts.way + counts.chance + counts.few;
      const parts = [
        `needed in ${counts.needed}${counts.needed ? ` (by ${most} at the most)` : ""}`,
        counts.way ? `in its way in ${counts.way}` : "",
        counts.chance ? `no more than chance in ${counts.chance}` : "",
        counts.few ? `too few to tell in ${counts.few}` : "",
      ];
      if (counts.few === all) return `with so few ${word} it cannot be told in any of the ${all} layers whether what it looked at was needed.`;
      return `of ${all} ${all === 1 ? "layer" : "layers"}, what it looked at was ${parts.filter(Boolean).join(", ")}.`;
    },
    untested: "here it was not tested.",
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
  how: "How?",
  bar: "Layer, head and steps",
  layer: "Layer",
  range: (count: number) => `of ${span(count)}`,
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
  size: (m: ModelCard) => `${counting(m.depth, "layer")} × ${counting(m.heads, "head")}`,
  modelCard: "Model",
  models: "Another model",
  opening: (name: string, seconds: number) => `Loading ${name} and walking its examples through … ${seconds} s`,
  openingSays: "Below is still the model of before.",
  cancel: "Cancel",
  originalAlt: "your picture as it came",
  original: (e: Example) => `As it came. The model gets ${e.input.width} × ${e.input.height} pixels of it.`,
  cardRows: (m: ModelCard): [string, string][] => [
    ["family", m.family],
    ["tokens", m.layout],
    ["size", `${counting(m.depth, "layer")}, ${counting(m.heads, "head")} of ${m.head_size}, ${m.hidden} numbers a token, ${m.parameters.toLocaleString("en")} learned numbers`],
    ["read-out", m.readout.says],
    ["positions", m.position.says],
    ["trained on", m.trained_on],
    ["licence", m.licence],
  ],
  close: "Close",
  framed: (m: ModelCard, e: Example, name: string, needed: boolean) => `Framed: ${name}${needed ? `, which ${m.outcome === "cosine" ? "the result" : `“${answerName(e)}”`} needs most` : ""}.`,
  heat: "Heat map",
  heatOf: {
    position: "likeness (cosine) of position vectors",
    score: (layer: number, head: number) => `score, ${layerName(layer)}, ${headName(head)}`,
    weight: (e: Example, layer: number, head: number | null) => `attention of ${reader(e)}, ${layerName(layer)}, ${headOrMean(head)}`,
    back: (e: Example, layer: number, head: number | null) => `attention on ${reader(e)}, ${layerName(layer)}, ${headOrMean(head)}`,
  },
  ignored: "Hatch what it looked at least",
  watched: (e: Example) => (story(e) === "class" ? "Class token" : "Followed"),
  object: "True outline",
  objectSays: (attention: string, area: string) => `on the object: ${attention}; its area: ${area}`,
  direction: "Direction",
  looks: "what it reads",
  looksBack: "who reads it",
  sharedScale: "One scale for all layers",
  numbers: "Numbers as a table",
  back: "Back",
  copyOf: "is a copy of",
  others: (n: number) => `the other ${n} together`,
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
    other: "A number of the other input's vector, which was brought to length 1.",
  },
  op: { sum: "sum", mean: "mean", dot: "sum of products", softmax: "softmax", norm: "norm", gelu: "GELU", relu: "ReLU", sigmoid: "sigmoid", given: "given" },
  times: "times",
  overLength: (x: string) => `${x}: 1 / length of this vector`,
  mean: "mean",
  spread: "spread",
  meanOfSquares: "mean x²",
  ofNumbers: "of these numbers",
  position: "position",
  token: "Token",
  role: "Role",
  value: "Value",
  shareBack: (e: Example) => `share on ${reader(e)}`,
  share: "Share",
  removedEffect: "Effect of removing one",
  defined: {
    added: "Share of what was added: the length of share × value, after the output matrix, as a part of all tokens' together.",
    removed: (m: ModelCard) => (m.outcome === "cosine" ? "If taken away: by how much the likeness changes when this token is left out of the input." : "Without it: by how many percentage points the first answer changes when this token is left out of the input."),
  },
  copyCsv: "Copy as CSV",
  copied: "Copied",
  shareIn: (layer: number) => `share in ${layerName(layer)}`,
  removedOf: (m: ModelCard, e: Example) => (m.outcome === "cosine" ? "if taken away" : `“${answerName(e)}” without it`),
  uniform: (x: number) => `evenly spread would be ${percent(x, 2)} each`,
  uniformShort: "even share",
  effectiveSays: "over how many tokens the attention is spread, as if evenly",
  effective: (x: number, n: number) => `spread as if evenly over ${x.toFixed(1)} of ${n} tokens`,
  self: "on itself",
  onSpecial: "on other special tokens",
  backMean: (e: Example, share: string) => `A token gives ${reader(e)} ${share} of its attention, on average over all tokens.`,
  brightest: "looked at most",
  readMost: "read it most",
  highest: "highest scores",
  darkest: "looked at least",
  mostIgnored: (n: number, total: number, mass: number, word: string) =>
    `The ${n} of ${total} ${word} that are looked at least get ${percent(mass)} of this attention.`,
  lookedUnused: "Looked at, but not needed",
  lookedUnusedSays: "among the most attended, yet taking it away hardly moves the answer",
  unlookedUsed: "Hardly looked at, but needed",
  unlookedUsedSays: "little direct attention in any layer, yet taking it away moves the answer: it gets there through others, or the last bit counted",
  shareAttention: "share of attention",
  shareAdded: "share of what was added",
  noRemovals: "Removals were not computed for this page.",
  matter: {
    where: (layer: number | null, head: number | null) =>
      `${layer === null ? "in every layer" : `in ${layerName(layer)}`}, ${head === null ? "all heads" : headName(head)}`,
    cut: (m: ModelCard, e: Example, n: number, word: string, where: string, what: string) =>
      `${m.outcome === "cosine" ? "Likeness to " : ""}“${mention(m, what)}”, ${story(e) === "class" ? "" : `${reader(e)} `}cut off from the ${n === 1 ? "" : `${n} `}most read ${word} ${where}:`,
    rank: (asMuch: number, others: number, falls: boolean) =>
      asMuch === 0 ? `${falls ? "lowest" : "highest"} of ${others + 1}` : `${asMuch} of ${others} other cuts ${asMuch === 1 ? "does" : "do"} as much`,
    p: (p: string, together: number, corrected: string, layers: boolean, rare: boolean) => {
      const all = `${together} ${layers ? "layers" : "heads"}`;
      if (rare) return `p = ${p} here, but ${all} were tried (${corrected})`;
      return together > 1 ? `p = ${p} (corrected for ${all}: ${corrected})` : `p = ${p}`;
    },
    verdict: {
      needed: "Needed",
      "in its way": "In its way",
      "no more than chance": "No more than chance",
      "too few to tell": "Too few to tell",
      "no control": "Nothing to compare with",
    },
    means: {
      needed: "Needed: without what it looked at here the answer falls more than without others.",
      "in its way": "In its way: without what it looked at here the answer rises, more than without others.",
      "no more than chance": "No more than chance: this picture of attention does not explain the answer.",
      "too few to tell": "Too few to tell: with so few others to compare with, chance cannot be ruled out.",
      "no control": "There is nothing to compare with.",
    },
    small: "More than others, yet tiny",
    rare: "It may be chance",
    rareMeans: (together: number, layers: boolean) => `Few other cuts change the answer as much. But ${together} ${layers ? "layers" : "layers and heads"} were tried, and among so many one stands out by chance alone.`,
    command: "The same by command:",
    more: "What else is known",
    none: "No knock-out was computed for this layer.",
    alone: (word: string) => `This input is one ${word}: there is none beside it to compare with.`,
    removal: (what: string, change: string) => `Taking ${what} away altogether: ${change}.`,
    needed: (m: ModelCard, what: string, word: string) => `${m.outcome === "cosine" ? "Likeness to " : ""}“${mention(m, what)}”, without one ${word} at a time:`,
    still: (word: string, least: string) => `Without any one ${word} it stays within ${least}.`,
    map: "how much the answer falls or rises without each patch, drawn over the picture",
    without: "answer without it",
    working: "The tests are being run …",
  },
  backBeware: (e: Example) => `That a token reads ${reader(e)} does not say that it makes use of what it finds there.`,
  weightsBeware: (top: string, share: string, self: string | null) =>
    self === null ? `${top} gets ${share}: where it looked, not why it answered.` : `Mostly at itself (${self}), then ${top[0].toLowerCase()}${top.slice(1)} (${share}): where it looked, not why.`,
  onPaper: (top: string) => `the brightest: ${top}`,
  clipped: (list: string[]) => `brighter than this scale: ${list.join(", ")}`,
  notTestedBack: "What the others read from it was not cut off, so nothing is known here of whether it matters.",
  claims: "Over many inputs",
  dots: { chosen: "this cut", line: "uncut", others: (n: number) => `${n} other cuts`, other: "another cut", answer: "answer", more: (n: number) => `and ${n} more` },
  claim: (value: string, low: string, high: string, n: number, data: string) => `${value} (95 % interval ${low} to ${high}; n = ${n}, ${data}).`,
  control: (what: string, value: string, low: string, high: string) => `Control, ${what}: ${value} (${low} to ${high}).`,
  madeBy: "made by",
  legend: "Legend",
  zero: "0",
  same: "identical",
  differ: (x: string) => `differ, distance ${x}`,
  thisInput: "this input",
  otherInput: "another input",
  twoInputs: "The two inputs",
  alike: "cosine of their position vectors",
  placeMaps: {
    title: "Every place with every other",
    says: (grid: boolean) => (grid ? "A small map for each place" : "A row for each word piece"),
  },
  noContrast: "There is no second input to compare with in this page.",
  patchAlone: "one token's vector",
  fromPixels: (stem: ModelCard["stem"]) => (stem === "convolutions" ? "enlarged; learned filters make of it:" : "enlarged; W · pixels + b makes of it:"),
  dimension: (i: number, of: number) => `${numberName(i)} of ${of}`,
  positionMap: "likeness of position vectors",
  noPosition: "no position vector is added",
  before: "before",
  after: "after",
  headAdds: (h: number) => `${headName(h)}: W · sum`,
  ledger: {
    state: "state",
    others: "the other heads",
    bias: "bias",
    middle: "after attention",
    feedforward: "feed-forward adds",
    next: "new state",
  },
  lengthShort: "length",
  length: (x: number, decimals = 2) => `length ${number(x, decimals)}`,
  goesIn: "what goes in",
  bandShort: "mean of inputs, 95 %",
  beforeNorm: "before the final norm",
  axisFrom: "in",
  axisTo: "end",
  depth: (n: number) => (n === 1 ? "the only layer" : `all ${n} layers`),
  lens: "Lens",
  lensSays: "if it had to answer now",
  noLens: "There is no classifier, so there is nothing to ask.",
  effectiveTitle: "effective number of tokens",
  band: (n: number, data: string) => `band: the mean of ${n} ${data} lies in it (95 %); single ones may lie far from it`,
  bandControl: (what: string) => `dashed: ${what}`,
  layerMaps: (e: Example) => `Attention of ${reader(e)}, layer by layer`,
  initial: (m: ModelCard, e: Example) => (story(e) !== "class" ? "as it goes in" : m.position.kind === "added" ? `as it goes in: learned, with position ${e.watched}` : "as it goes in: learned"),
  finalState: "as it ends",
  cosineBetween: (e: Example) => `cosine to the class token of ${clip(e.contrast?.title ?? words.otherInput)}`,
  driftNorm: "Dashed: before the final norm.",
  truth: (text: string) => `true label: ${text}`,
  judged: (truth: string, isRight: boolean) => (isRight ? `Labelled “${truth}”: right.` : `Labelled “${truth}”: wrong.`),
  drawn: "A drawn picture: a model of photographs may well be lost on it.",
  /** What the strip of the vector is called: its numbers are those from before it is brought to length 1. */
  vector: (m: ModelCard, size: number) => (Math.abs(size - 1) < 1e-3 ? m.readout.says : m.readout.says.replace(/, then brought to length 1$/, ` (length ${number(size, 2)}; brought to length 1 where it is compared)`)),
  numbersOf: (name: string, n: number) => `${name}: ${n} numbers`,
  query: "query",
  key: "key",
  ofClass: (what: string, e: Example) => `${what}, ${story(e) === "class" ? "class token" : reader(e)}`,
  of: (what: string, token: string) => `${what}, ${token}`,
  score: "score",
  plusDistance: " + distance",
  weight: "weight",
  calibrationChart: "claimed against right",
  calibrationAxes: ["claimed", "right"],
  calibrationHonest: "honest",
  calibrationColumns: ["confidence", "n", "mean confidence", "right", "95 % interval"],
  calibration: "Is the confidence honest?",
  calibrationYours: (data: string) => `Measured on ${data}; your input may be of another kind.`,
  calibrationVerdict: (x: number, low: number, high: number) => (x > high ? "It claims too much." : x < low ? "It claims too little." : "It may be."),
  calibrationSays: (conf: string, acc: string, low: string, high: string, n: number, data: string) =>
    `Where it said ${conf}, ${acc} were right (95 %: ${low} to ${high}; n = ${n}${data ? `, ${data}` : ""}).`,
  typical: {
    none: "It looks like none of its classes.",
    known: "It looks like its classes.",
    says: (share: string) => `${share} of held-out inputs look less so.`,
    level: (level: string) => `Below ${level} the answer is only the nearest of its classes.`,
  },
  noCalibration: "Not measured for this model.",
  unseenConfidence: (n: number, of: number) =>
    `${n === 0 ? "None" : `Only ${n}`} of ${of} measured answers had such a confidence: too few to tell.`,
  lab: {
    mode: "Experiment",
    remove: "Take away",
    pooling: "Other pooling",
    swap: "Swap",
    causal: "Causal mask",
    two: "Two class tokens",
    untrained: "Untrained",
    untrainedSays: (says: string) => `${capital(says)}.`,
    untrainedReads: (layer: number, before: string, after: string, n: number) => `In ${layerName(layer)} it reads as if evenly ${before} of ${n} tokens; trained, ${after}.`,
    untrainedAlike: (before: string, after: string) => `Of two inputs, its last states have cosine ${before}; trained, ${after}.`,
    untrainedRow: "untrained",
    trainedRow: "trained",
    untrainedLens: (name: string) => `“${name}” after each layer; dashed: trained`,
    untrainedLarge: "This model is too large to be held twice, so it was not computed.",
    untrainedGo: "The same before training",
    clean: "as it is",
    removed: (n: number, word: string) => `${n} ${word} taken away`,
    removeSays: (word: string, many: boolean) =>
      many
        ? `Click ${word} away, and back.`
        : `Click a ${word} to take it away.`,
    reset: "Put all back",
    topMost: (word: string) => `Most needed ${word}`,
    topSays: "one at a time, by how far the first answer falls",
    noPooling: (says: string) => `This model's classifier reads ${says}: no other single pooling fits it.`,
    poolingSays: "The same states, read out otherwise, through the same classifier.",
    swapSays: (e: Example, donor: string) => `Before a layer, replace the state of ${reader(e)} by that of another input (${donor}), and let the model go on. If early states mattered, the answer would follow the donor.`,
    swapDonor: "Take it from",
    swapLayer: "Swap before layer",
    swapEnd: "at the very end",
    swapFlat: (k: number, n: number) => `${k === n ? "Even with the swap at the very end" : `Up to the swap before ${layerName(k)}`} the first answer keeps more than half of its value: what it held until then was not needed${k === n ? "" : ", the remaining layers read it again"}.`,
    swapNow: `Even the swap before ${layerName(0)} changes the answer.`,
    causalSays: "With a causal mask a token sees only tokens before it. The class token stands first: it sees only itself.",
    causalChange: (change: string, reference: string) => `Put in another input, and the final class token moves by ${change}. Without the mask it moves by ${reference}.`,
    causalZero: "Nothing of the input reaches it. That is why decoders (GPT and kin) have no class token in front, and read the last token instead.",
    twoSays: "One more class token, with the same vector and the same position.",
    twoSame: (cosine: string) => `Cosine of the two at the end: ${cosine}. Two equal class tokens stay equal: nothing tells them apart. To specialise, they need other targets, other weights or another start.`,
    missing: "This experiment was not computed for this page. Start the page with --serve to try it.",
    working: "working …",
    paint: "Or draw over them.",
    failed: "That did not work:",
    answerNow: "Answer now",
    said: (now: string, label: string, value: string, change: string, first: string | null) => `${now}: ${label} ${value}, ${change}${first ? `; first: ${first}` : ""}.`,
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
    pasted: "pasted picture",
    camera2: "from the camera",
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
  },
  /** What an address names and this page does not hold. */
  lost: {
    input: (id: string, own: boolean, shown: string) =>
      own ? `Your own inputs are gone once the page is loaded anew: add yours again. This is ${shown}.` : `The address names an input that is not here, ${id.slice(0, 60)}; this is ${shown}.`,
    model: (name: string, shown: string) => `The address names a model that is not here, ${name.slice(0, 60)}; this is ${shown}.`,
    place: (wrong: { what: keyof typeof beyond; asked: number; last: number; shown: number }[]) =>
      `The address names ${wrong.map(({ what, asked }) => `${beyond[what]} ${asked}`).join(" and ")}, beyond what is here (${wrong.map(({ what, last }) => `${beyond[what]}s ${span(last + 1)}`).join(", ")}); this is ${wrong.map(({ what, shown }) => `${beyond[what]} ${shown}`).join(", ")}.`,
  },
  loading: "The model is being walked through; this page appears when that is done …",
  keysList: [
    ["→ / ←", "next / previous step"],
    ["Home / End", "first / last step"],
    ["L / Shift+L", "one layer deeper / back"],
    ["H", "next head"],
    ["T", "tables on or off"],
    ["C", "concepts"],
    ["Space", "run through the layers, stop"],
    ["E", "exercises: guess first"],
    ["N", "a teacher's words for each step"],
    ["W", "outline what to look at"],
    ["P", "large type for a projector; there, space goes on"],
    ["D", "dark or light"],
    ["Arrow keys in a picture, row, strip or list", "choose another one"],
    ["Enter on a number", "where it comes from"],
    ["Esc", "one level up: number, token, head, layer, whole way"],
  ] as [string, string][],
  matrix: {
    title: "Whole attention matrix",
    load: "Load the whole matrix",
    says: (layer: number, head: number | null) => `${layerName(layer)}, ${headOrMean(head)}`,
    rows: "who reads ↓",
    columns: "who is read →",
    reads: (name: string) => `${name} reads`,
    readBy: (name: string) => `${name} is read by`,
    cell: (from: string, to: string) => `${from} → ${to}`,
    served: "Whole matrices: with --serve.",
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
