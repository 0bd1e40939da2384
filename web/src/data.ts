/** The walkthrough's data format, version 1: what Python writes and the page reads. DATA.md says it in words.
 *
 * Letters as in tensors.py: L tokens, D hidden size, H heads, K head size, F feed-forward size, N layers, P patches,
 * C classes, A answers shown. Layers count from 0; `states[0]` is what goes into layer 0, `states[N]` comes out of the last.
 */

export const FORMAT = "classtoken-walkthrough";
export const VERSION = 1;

/** Numbers in C order, little endian, base64. Everything the page shows in digits is f32; f16 is for colours and lengths. */
export interface Block {
  dtype: "f32" | "f16" | "u8" | "i32";
  shape: number[];
  data: string;
}

export type RoleName = "class" | "distillation" | "register" | "prompt" | "content" | "end" | "pad";

export interface Norm {
  kind: "layer" | "rms";
  weight: Block; // D
  bias: Block | null; // D
  eps: number;
}

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
  position: { kind: "added" | "rotary" | "bias" | "none"; says: string };
  patch: number | null;
  stem: "linear" | "convolutions" | "table"; // a weighted sum of the patch's own pixels; overlapping convolutions; a look-up
  layout: string; // "1 class + 14x14 patch = 197"
  readout: { pooling: string; reads_class_token: boolean; says: string; reads: string[] }; // the one class token alone; roles read
  outcome: "probability" | "sigmoid" | "cosine"; // what an answer's value is
  temperature: number; // logits, and the head's rows, are divided by it already
  classes: number | null; // C; null without a classifier
  trained_on: string;
  licence: string;
  gaps: string[]; // traces that this model cannot give, in words
  shared: {
    embedding_norm: Norm | null; // applied to before + position (BERT, CLIP)
    attention_bias: Block | null; // (N, D): bias of each output projection; null where there is none
    norms: { first: Norm; second: Norm }[] | null; // post-norm models only, one pair a layer
    final_norm: Norm | null;
    head: { weight: Block; bias: Block | null; starts: number[] | null } | null; // rows of the answers of examples[0], (A, V) and (A); where in the vector each row begins
  };
}

export interface Token {
  role: RoleName;
  text: string; // "[CLS]", "patch 17", "##ing"
  cell: [number, number] | null; // row and column of a patch
  span: [number, number] | null; // start and end in the sentence, in UTF-16 units
}

export interface Input {
  kind: "image" | "text";
  image: string | null; // data:image/png;base64,... exactly what the model saw (cropped and resized)
  width: number | null;
  height: number | null;
  grid: [number, number] | null; // rows, columns
  text: string | null;
  pixels: Block | null; // toy only: (channels, height, width) as they enter the model
}

/** The answers that the page shows; values are probabilities or cosines (`model.outcome`). */
export interface Answers {
  labels: { index: number; text: string }[]; // A, best first
  logits: Block | null; // A
  values: Block; // A
  all_logits: Block | null; // C, so that the softmax can be done again
}

export interface Layers {
  scores: Block; // (N, H, L) of the class token, before the softmax, scaled
  weights: Block; // (N, H, L)
  back: Block; // (N, H, L): weight that each token gives to the class token
  queries: Block | null; // (N, H, K) of the class token
  keys: Block | null; // (N, H, L, K)
  values: Block | null; // (N, H, L, K)
  context: Block | null; // (N, H, K): sum over tokens of weight x value
  used: Block | null; // (N, H, L): length of weight x value after the output projection
  heads: Block; // (N, H, D): what each head adds
  attention: Block; // (N, D): what attention adds to the residual stream
  middle: Block; // (N, D): after the attention addition (and its norm in post-norm models)
  feedforward: Block; // (N, D): what the feed-forward part adds
  states: Block; // (N + 1, D): the class token's state
  norms: Block | null; // (N + 1, L): length of every token's state
}

/** The effect of cutting the class token off from some tokens, and what cutting random tokens does. */
export interface Knockout {
  layer: number | null; // null: in every layer
  head: number | null; // null: in every head
  tokens: number[];
  mode: "renormalise" | "zero" | "mean" | "resample";
  answer: number; // position in answers.labels
  before: number;
  after: number;
  null_values: number[]; // after-values of random sets of as many tokens
}

export interface Removals {
  tokens: number[]; // one run for each: the sequence without this token
  values: Block; // (tokens, A)
}

export interface Swap {
  donor: string;
  donor_values: Block; // A
  values: Block; // (N + 1, A): the class token's state before layer l replaced by the donor's; N: after the last
}

export interface Alternative {
  name: string; // cls, mean, max ...
  values: Block; // A
  says: string;
}

export interface Example {
  id: string;
  title: string;
  origin: "example" | "yours";
  input: Input;
  tokens: Token[]; // L
  hero: number | null; // position of the class token
  truth: { label: string | null; object: Block | null }; // object: (P) share of each patch that is the object
  embeddings: { before: Block; position: Block | null; after: Block | null }; // (L, D); after is null where it is before + position
  /** Another input: its vectors before positions (L2, D), its class token's (D), and that one's states (N + 1, D). */
  contrast: { title: string; image: string | null; text: string | null; tokens: Token[]; before: Block; class_token: Block; states: Block } | null;
  layers: Layers;
  final: Block; // D: the class token after the final norm
  vector: Block; // the vector that the readout gives
  answers: Answers;
  lens: { values: Block; says: string } | null; // (N + 1, A)
  knockouts: Knockout[];
  removals: Removals | null;
  swaps: Swap[];
  causal: { values: Block | null; change: number; reference: number; says: string } | null;
  poolings: Alternative[];
  two: { values: Block; cosine: Block; says: string } | null; // cosine: (N + 1) between the two class tokens
  others: Other[]; // the model's other class tokens, where it has several
}

/** What an example holds of another class token; keys, values and norms are of all tokens and stand in the example. */
export interface Other {
  hero: number;
  layers: Layers;
  final: Block;
  class_token: Block; // of the contrast
  states: Block; // of the contrast
  knockouts: Knockout[];
  swaps: Swap[];
  causal: Example["causal"];
}

/** What a server computes after an input has been shown. */
export interface Experiments {
  knockouts: Knockout[];
  removals: Removals | null;
  others: Knockout[][];
}

export interface Statistic {
  mean: number;
  low: number;
  high: number;
}

/** A sentence with its measurement. It is shown only together with all of it. */
export interface Claim {
  id: string;
  steps: number[]; // where it is shown, 1-10
  says: string;
  unit: string;
  n: number;
  data: string;
  value: Statistic; // 95 % interval
  control: { what: string; value: Statistic } | null;
  made_by: string; // the command or script
}

export interface Band {
  id: "effective_tokens" | "object_share" | "lens" | "swap" | string;
  title: string;
  unit: string;
  n: number;
  data: string;
  values: Statistic[]; // a layer each
  control: { what: string; values: Statistic[] } | null;
}

export interface Calibration {
  n: number;
  data: string;
  bins: { low: number; high: number; n: number; confidence: number; accuracy: number }[];
}

export interface FamilyRow {
  family: string;
  class_token: string;
  registers: string;
  readout: string;
  note: string;
  used_by: string; // a checkpoint of it
}

/** All weights of a small pre-norm vision encoder, so that the page can do the whole forward again. Linear: y = W x + b. */
export interface ToyWeights {
  patch: number;
  channels: number;
  activation: "gelu" | "relu";
  eps: number;
  stem: Linear; // (D, channels * patch * patch), pixels in the order channel, row, column
  class_token: Block; // D
  positions: Block; // (L, D)
  blocks: {
    norm1: Affine;
    query: Linear;
    key: Linear;
    value: Linear;
    output: Linear;
    norm2: Affine;
    up: Linear;
    down: Linear;
  }[];
  final_norm: Affine;
  head: Linear; // (C, D)
}
export interface Linear {
  weight: Block;
  bias: Block;
}
export interface Affine {
  weight: Block;
  bias: Block;
}

export interface Walkthrough {
  format: typeof FORMAT;
  version: typeof VERSION;
  made_by: string;
  model: ModelCard;
  examples: Example[];
  bands: Band[];
  claims: Claim[];
  calibration: Calibration | null;
  families: FamilyRow[];
  toy: ToyWeights | null;
}
