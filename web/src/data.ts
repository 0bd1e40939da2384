// Written by tools/page_types.py from the dataclasses in src/classtoken/page/; change those, then run `make web`.
//
// Letters as in tensors.py: L tokens, D hidden size, H heads, K head size, N layers, C classes, A answers shown; any
// other letter is a size that only its own class knows. Layers count from 0. DATA.md: what holds between the fields.

export const FORMAT = "classtoken-walkthrough";
export const VERSION = 4;

/** Numbers in C order, little endian, base64. What the page shows in digits is f32; f16 is for colours and lengths. */
export interface Block {
  dtype: "f32" | "f16" | "u8" | "i32";
  shape: number[];
  data: string;
}

export type RoleName = "class" | "distillation" | "register" | "prompt" | "content" | "end" | "pad";

/** How positions come in, and a sentence for the reader. */
export interface PositionCard {
  kind: "added" | "rotary" | "bias" | "none";
  says: string;
}

/** Which vector the checkpoint's authors meant, and from which tokens it is made. */
export interface ReadoutCard {
  pooling: string;
  reads_class_token: boolean; // it is the one class token and nothing else
  says: string;
  reads: string[]; // roles of all tokens that it reads
}

/** A layer norm's learned numbers. */
export interface NormWeights {
  kind: "layer" | "rms";
  weight: Block; // (E)
  bias: Block | null; // (E)
  eps: number;
}

/** The two norms of a post-norm block. */
export interface BlockNorms {
  first: NormWeights;
  second: NormWeights;
}

/** The classifier's rows of the answers of the first example, divided by the temperature; V numbers are read. Of a model without a classifier the vectors, of length 1, that others are compared with. */
export interface ClassifierRows {
  weight: Block; // (A, V)
  bias: Block | null; // (A)
  classes: number[]; // the answers that the rows are of, by their index
  starts: number[] | null; // where in the vector each row begins to read; null where every row reads it from its beginning
}

/** The weights that the arithmetic of every example needs. */
export interface SharedWeights {
  embedding_norm: NormWeights | null; // applied to before + position (BERT, CLIP)
  attention_bias: Block | null; // (N, D) bias of each output projection; null where there is none
  norms: BlockNorms[] | null; // post-norm models only, one pair a layer
  final_norm: NormWeights | null;
  head: ClassifierRows | null;
}

/** What model this is, as far as the page must know. */
export interface ModelCard {
  name: string; // what the user asked for: builtin:toy, a folder's name, a hub id
  family: string;
  modality: "image" | "text";
  depth: number;
  heads: number;
  hidden: number;
  head_size: number;
  feedforward: number;
  parameters: number;
  norm: "pre" | "post"; // where the layer norm sits: before each part, or after each addition
  score_scale: number; // scores = q.k * score_scale, usually 1/sqrt(K)
  position: PositionCard;
  patch: number | null;
  stem: "linear" | "convolutions" | "table"; // a weighted sum of the patch's own pixels; overlapping convolutions; a look-up
  layout: string; // 1 class + 14x14 patch = 197
  readout: ReadoutCard;
  outcome: "probability" | "sigmoid" | "cosine"; // what an answer's value is
  temperature: number; // logits, and the head's rows, are divided by it already
  classes: number | null; // C; null without a classifier
  trained_on: string;
  licence: string;
  gaps: string[]; // traces that this model cannot give, in words
  shared: SharedWeights;
  causal: boolean; // a token sees only itself and those before it
  given: string | null; // as a command takes it: a folder's path, builtin:toy, a hub id
  unlike: number; // as typical of the classes as this, or less, is said to look like none of them
}

/** What went in. */
export interface ShownInput {
  kind: "image" | "text";
  image: string | null; // data URI of exactly what the model saw, cropped and resized
  width: number | null;
  height: number | null;
  grid: [number, number] | null; // rows, columns
  text: string | null;
  pixels: Block | null; // (G, Y, X) toys only: channels, height, width as they enter the model
  given: string | null; // a picture's file as a command takes it; null for texts, which stand in `text`, and for what has no file
  original: string | null; // data URI of the reader's own picture before it was cropped and resized, small
  unread: string | null; // of a text that is longer than the model takes: that a part of it was not read, in words
}

/** One token: its role, what it is called, and what to write on it. */
export interface ShownToken {
  role: RoleName;
  name: string; // as everywhere else, numbers from 0: patch 86 (row 6, column 2), register 0, a word piece
  text: string;
  cell: [number, number] | null; // row and column of a patch
  span: [number, number] | null; // start and end in the sentence, in UTF-16 units
}

/** The true label, and the share of each patch that is the object, where they are known. */
export interface Truth {
  label: string | null;
  object: Block | null; // (P)
}

/** before + position (then a norm, in some families) = after; null where it is that sum. */
export interface TokenEmbeddings {
  before: Block; // (L, D)
  position: Block | null; // (L, D)
  after: Block | null; // (L, D)
}

/** One class token's row of everything, layer by layer, as the model computed it. */
export interface ClassTokenLayers {
  scores: Block; // (N, H, L) before the softmax, scaled
  weights: Block; // (N, H, L)
  back: Block; // (N, H, L) weight that each token gives to the class token
  heads: Block; // (N, H, D) what each head adds
  attention: Block; // (N, D) what attention adds to the residual stream
  middle: Block; // (N, D) after the attention addition (and its norm in post-norm models)
  feedforward: Block; // (N, D) what the feed-forward part adds
  states: Block; // (N+1, D) what goes into layer 0, then what leaves each layer
  queries: Block | null; // (N, H, K)
  keys: Block | null; // (N, H, T, K)
  values: Block | null; // (N, H, T, K)
  kept: Block | null; // (N, H, T) the tokens whose keys and values these are, in rising order, of each layer and head; null: all of them
  context: Block | null; // (N, H, K) sum over tokens of weight x value
  used: Block | null; // (N, H, L) length of weight x value after the output projection
  norms: Block | null; // (N+1, L) length of every token's state
}

/** An answer: the classifier's index and the class's name; or, where vectors are compared, another input's. */
export interface AnswerLabel {
  index: number;
  text: string;
  input: string | null; // the id of that other input, where it is walked through too: two names may be alike
}

/** The answers shown; values are probabilities, best first, or cosines (`model.outcome`): to the other inputs that were given, the most alike first, then to the package's own. */
export interface Answers {
  labels: AnswerLabel[]; // (A)
  logits: Block | null; // (A)
  values: Block; // (A)
  all_logits: Block | null; // (C) so that the softmax can be done again
  typical: number | null; // how typical the input is of the classes, of models that know it: a share of their own held-out inputs
}

/** Another input of M tokens: its vectors before positions, its class token's, and that one's states. */
export interface ContrastInput {
  title: string;
  image: string | null;
  text: string | null;
  tokens: ShownToken[]; // (M)
  before: Block; // (M, D)
  class_token: Block; // (D)
  states: Block; // (N+1, D)
}

/** Answers if the model had to answer after each layer. */
export interface LensAnswers {
  values: Block; // (N+1, A)
  says: string;
}

/** An answer's value before and after cutting the class token off from tokens, and after cutting others. The rule for the others, p and verdict is that of `study.control`. */
export interface CutEffect {
  layer: number | null; // null: in every layer
  head: number | null; // null: in every head
  tokens: number[];
  mode: "renormalise" | "zero" | "mean" | "resample";
  answer: number; // place in answers.labels
  before: number;
  after: number;
  null_values: number[]; // after-values of distinct other sets of as many tokens
  possible: number; // how many other sets there are; all of them stand in null_values where they are 200 or fewer
  p: number | null; // how often another set changes the answer as much; null without any
  together: number; // knock-outs that are corrected for each other: those of all layers, or of all heads
  p_together: number | null; // p after that correction (Holm)
  verdict: "needed" | "in its way" | "no more than chance" | "too few to tell" | "no control";
  null_sets: Block | null; // (S, T) the tokens of those other sets, one a row; null where they are too many for a page
}

/** Answers when one token is left out of the sequence, for each of T tokens. */
export interface RemovalEffects {
  tokens: number[]; // (T)
  values: Block; // (T, A)
}

/** Answers when the class token's state before layer l is another input's (N: after the last layer). */
export interface SwapEffects {
  donor: string;
  donor_values: Block; // (A)
  values: Block; // (N+1, A)
}

/** With a causal mask: answers, and how far the class token's final state moves when the input is another. */
export interface CausalMaskEffect {
  values: Block | null; // (A)
  change: number; // that distance under the mask
  reference: number; // and without it
  says: string;
}

/** Answers of the same classifier on another pooling of the same states. */
export interface PoolingAnswers {
  name: string; // cls, mean, max
  values: Block; // (A)
  says: string;
}

/** One way of making one vector of the final states: what each token gives, the answer, and what it costs. */
export interface PoolingLane {
  name: "cls" | "last" | "mean" | "max" | "attention" | "learned" | "all";
  weights: Block | null; // (L) null where they would have to be learned first
  values: Block | null; // (A) null where the model's own head does not fit
  cosine: number | null; // to the vector that the model's own pooling makes
  learned: number; // numbers that a model learns for it
  own: boolean; // the model's own
}

/** A second, identical class token: answers, and the cosine of the two in each layer. */
export interface SecondClassToken {
  values: Block; // (A)
  cosine: Block; // (N+1)
  says: string;
}

/** The same input in the same architecture with random weights, as before training: what learning gave. */
export interface UntrainedModel {
  weights: Block; // (N, L) what the watched token reads, mean over heads
  lens: Block; // (N+1, A) answers if it had to answer after each layer; the last are its answers
  alike: number | null; // cosine of the final states of this input's watched token and the contrasting input's, where both began equal
  says: string;
}

/** What an example holds of another token that can be watched: of its class tokens, where the model has several. `layers` come without keys, values and norms, which are of all tokens and stand in the example. */
export interface OtherClassToken {
  position: number;
  layers: ClassTokenLayers;
  final: Block; // (D)
  class_token: Block; // (D) of the contrasting input
  states: Block; // (N+1, D) of the contrasting input
  knockouts: CutEffect[];
  swaps: SwapEffects[];
  causal: CausalMaskEffect | null;
  two: SecondClassToken | null; // with this token twice
  untrained: UntrainedModel | null; // what this token reads before training
}

/** How the final states of several tokens become one vector, where it is not the state of one class token. sum: the states times `weights`, added up. largest: of each number the largest. query: learned queries read them, as a class token that comes last. */
export interface PooledTokens {
  kind: "sum" | "largest" | "query";
  weights: Block; // (L) what each token gives: its factor; the share of numbers that are its own; its attention, mean over the queries
  queries: Block | null; // (Q, L) attention of each learned query
  states: Block | null; // (L, D) what is pooled
  pooled: Block | null; // (D) what comes of it, before anything that follows
  without: Block | null; // (L) cosine of the vector to the one that is read without this token, its state left as it is
}

/** One input, walked through. */
export interface Example {
  id: string;
  title: string;
  origin: "example" | "yours";
  input: ShownInput;
  tokens: ShownToken[]; // (L)
  watched: number | null; // position of the token that is watched: the class token; without one, a token that the vector is read from
  truth: Truth;
  embeddings: TokenEmbeddings;
  layers: ClassTokenLayers;
  final: Block; // (D) the watched token after the final norm
  vector: Block; // (V) what the readout gives
  answers: Answers;
  contrast: ContrastInput | null;
  lens: LensAnswers | null;
  knockouts: CutEffect[];
  removals: RemovalEffects | null;
  swaps: SwapEffects[];
  causal: CausalMaskEffect | null;
  poolings: PoolingAnswers[];
  race: PoolingLane[]; // six poolings side by side
  two: SecondClassToken | null;
  others: OtherClassToken[]; // the model's other class tokens; without one, more tokens that can be watched
  pooled: PooledTokens | null;
  matrices: Block | null; // (N, H, L, L) who reads whom: whole attention matrices, of a short input
  untrained: UntrainedModel | null;
}

/** A mean and its 95 % interval. */
export interface Statistic {
  mean: number;
  low: number;
  high: number;
}

/** A control for every layer. */
export interface ControlBand {
  what: string;
  values: Statistic[];
}

/** A statistic for every layer, over a data set. */
export interface LayerBand {
  id: string;
  title: string;
  unit: string;
  n: number;
  data: string;
  values: Statistic[];
  control: ControlBand | null;
}

/** The same statistic for a control, a model with random weights for one. */
export interface ControlStatistic {
  what: string;
  value: Statistic;
}

/** A sentence with its measurement; it is shown only together with all of it. */
export interface MeasuredClaim {
  id: string;
  steps: number[]; // where it is shown, 1 to 10
  says: string;
  unit: string;
  n: number;
  data: string;
  value: Statistic;
  control: ControlStatistic | null;
  made_by: string; // the command or script
}

/** Answers whose confidence lies between low and high, and the share of them that was right. */
export interface ConfidenceBin {
  low: number;
  high: number;
  n: number;
  confidence: number; // their mean
  accuracy: Statistic | null; // with its exact 95 % interval; null where too few answers lie here to speak of a share
}

/** When the model says 80 %, how often is it right? */
export interface CalibrationChart {
  n: number;
  data: string;
  bins: ConfidenceBin[];
}

/** Who uses what, from the families table. */
export interface FamilyRow {
  family: string;
  class_token: string;
  registers: string;
  readout: string;
  note: string;
  used_by: string; // a checkpoint of it
}

/** y = W x + b. */
export interface LinearWeights {
  weight: Block; // (O, I)
  bias: Block; // (O)
}

/** A layer norm of a toy. */
export interface ToyNorm {
  weight: Block; // (D)
  bias: Block; // (D)
}

/** One layer of a toy. */
export interface ToyBlock {
  norm1: ToyNorm;
  query: LinearWeights;
  key: LinearWeights;
  value: LinearWeights;
  output: LinearWeights;
  norm2: ToyNorm;
  up: LinearWeights;
  down: LinearWeights;
}

/** All weights of a small pre-norm vision encoder, so that the page can do the whole forward again. */
export interface ToyWeights {
  patch: number;
  channels: number;
  activation: "gelu" | "relu";
  eps: number;
  stem: LinearWeights; // (D, channels * patch * patch), pixels in the order channel, row, column
  class_token: Block; // (D)
  positions: Block; // (L, D)
  blocks: ToyBlock[];
  final_norm: ToyNorm;
  head: LinearWeights; // (C, D)
}

/** A whole walkthrough. */
export interface Walkthrough {
  made_by: string;
  model: ModelCard;
  examples: Example[];
  bands: LayerBand[];
  claims: MeasuredClaim[];
  calibration: CalibrationChart | null;
  families: FamilyRow[];
  toy: ToyWeights | null;
  format: "classtoken-walkthrough";
  version: 4;
}

/** What takes many forwards, of one input; `others`: the knock-outs of its other class tokens, in their order. */
export interface Experiments {
  knockouts: CutEffect[];
  removals: RemovalEffects | null;
  others: CutEffect[][];
}

/** Class and field -> its axes; `?` after them: it may be null. */
export const AXES: Record<string, Record<string, string>> = {
  NormWeights: { weight: "E", bias: "E?" },
  ClassifierRows: { weight: "A V", bias: "A?" },
  SharedWeights: { attention_bias: "N D?" },
  ShownInput: { pixels: "G Y X?" },
  Truth: { object: "P?" },
  TokenEmbeddings: { before: "L D", position: "L D?", after: "L D?" },
  ClassTokenLayers: { scores: "N H L", weights: "N H L", back: "N H L", heads: "N H D", attention: "N D", middle: "N D", feedforward: "N D", states: "N+1 D", queries: "N H K?", keys: "N H T K?", values: "N H T K?", kept: "N H T?", context: "N H K?", used: "N H L?", norms: "N+1 L?" },
  Answers: { labels: "A", logits: "A?", values: "A", all_logits: "C?" },
  ContrastInput: { tokens: "M", before: "M D", class_token: "D", states: "N+1 D" },
  LensAnswers: { values: "N+1 A" },
  CutEffect: { null_sets: "S T?" },
  RemovalEffects: { tokens: "T", values: "T A" },
  SwapEffects: { donor_values: "A", values: "N+1 A" },
  CausalMaskEffect: { values: "A?" },
  PoolingAnswers: { values: "A" },
  PoolingLane: { weights: "L?", values: "A?" },
  SecondClassToken: { values: "A", cosine: "N+1" },
  UntrainedModel: { weights: "N L", lens: "N+1 A" },
  OtherClassToken: { final: "D", class_token: "D", states: "N+1 D" },
  PooledTokens: { weights: "L", queries: "Q L?", states: "L D?", pooled: "D?", without: "L?" },
  Example: { tokens: "L", final: "D", vector: "V", matrices: "N H L L?" },
  LinearWeights: { weight: "O I", bias: "O" },
  ToyNorm: { weight: "D", bias: "D" },
  ToyWeights: { class_token: "D", positions: "L D" },
};

/** Class and field -> the class of what it holds; `[]`: several, `?`: it may be null. */
export const PARTS: Record<string, Record<string, string>> = {
  BlockNorms: { first: "NormWeights", second: "NormWeights" },
  SharedWeights: { embedding_norm: "NormWeights?", norms: "BlockNorms[]?", final_norm: "NormWeights?", head: "ClassifierRows?" },
  ModelCard: { position: "PositionCard", readout: "ReadoutCard", shared: "SharedWeights" },
  Answers: { labels: "AnswerLabel[]" },
  ContrastInput: { tokens: "ShownToken[]" },
  OtherClassToken: { layers: "ClassTokenLayers", knockouts: "CutEffect[]", swaps: "SwapEffects[]", causal: "CausalMaskEffect?", two: "SecondClassToken?", untrained: "UntrainedModel?" },
  Example: { input: "ShownInput", tokens: "ShownToken[]", truth: "Truth", embeddings: "TokenEmbeddings", layers: "ClassTokenLayers", answers: "Answers", contrast: "ContrastInput?", lens: "LensAnswers?", knockouts: "CutEffect[]", removals: "RemovalEffects?", swaps: "SwapEffects[]", causal: "CausalMaskEffect?", poolings: "PoolingAnswers[]", race: "PoolingLane[]", two: "SecondClassToken?", others: "OtherClassToken[]", pooled: "PooledTokens?", untrained: "UntrainedModel?" },
  ControlBand: { values: "Statistic[]" },
  LayerBand: { values: "Statistic[]", control: "ControlBand?" },
  ControlStatistic: { value: "Statistic" },
  MeasuredClaim: { value: "Statistic", control: "ControlStatistic?" },
  ConfidenceBin: { accuracy: "Statistic?" },
  CalibrationChart: { bins: "ConfidenceBin[]" },
  ToyBlock: { norm1: "ToyNorm", query: "LinearWeights", key: "LinearWeights", value: "LinearWeights", output: "LinearWeights", norm2: "ToyNorm", up: "LinearWeights", down: "LinearWeights" },
  ToyWeights: { stem: "LinearWeights", blocks: "ToyBlock[]", final_norm: "ToyNorm", head: "LinearWeights" },
  Walkthrough: { model: "ModelCard", examples: "Example[]", bands: "LayerBand[]", claims: "MeasuredClaim[]", calibration: "CalibrationChart?", families: "FamilyRow[]", toy: "ToyWeights?" },
  Experiments: { knockouts: "CutEffect[]", removals: "RemovalEffects?", others: "CutEffect[]" },
};
