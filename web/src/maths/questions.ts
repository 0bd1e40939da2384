/** Questions to guess at before looking, with the answers that this input gives: each from numbers of the document. */
import { open } from "../blocks";
import type { CalibrationChart, Example, ModelCard } from "../data";
import { quiz } from "../demos/words";
import { number, percent } from "../format";
import type { Mode } from "../lab.svelte";
import { layerName } from "../names";
import { mention, piece, reader, thing, words } from "../strings";
import { effectiveTokens } from "./basic";
import { driftOf } from "./drift";
import { firstOf, isRare } from "./findings";
import { story } from "./story";

export interface Question {
  of: "alike" | "swapped" | "cut" | "causal" | "twice" | "averaged" | "untrained" | "honest"; // one of each at the most
  asks: string;
  choices: string[];
  right: number;
  says: string; // what is so, in numbers
  step: number; // where it can be seen
  mode?: Mode; // and by which experiment
}

export function questionsOf(m: ModelCard, e: Example, calibration: CalibrationChart | null): Question[] {
  const all = [alike(m, e), swapped(m, e), cut(m, e), causal(m, e), twice(e), averaged(m, e), untrained(e), honest(e, calibration)];
  return all.filter((each) => each !== null);
}

const say = (m: ModelCard, x: number) => (m.outcome === "cosine" ? number(x, 2) : percent(x));

function alike(m: ModelCard, e: Example): Question | null {
  const drift = driftOf(m, e);
  if (!drift || story(e) !== "class") return null;
  return { of: "alike", ...quiz.alike(thing(m), number(drift.read[1]), number(drift.read[m.depth])), right: 0, step: 2 };
}

/** The other input's state put in before the last layer: what is read out then. */
function swapped(m: ModelCard, e: Example): Question | null {
  const swap = e.swaps[0];
  if (!swap || m.outcome === "cosine") return null;
  const now = open(swap.values).row(m.depth - 1);
  const before = open(e.answers.values).at(0);
  const best = firstOf(m, e, now);
  if (best === null) return null;
  const right = best !== 0 ? 2 : now[0] > before ? 1 : 0;
  return { of: "swapped", ...quiz.swapped(reader(e), mention(m, e.answers.labels[0].text), swap.donor, layerName(m.depth - 1), say(m, before), say(m, now[0]), e.answers.labels[best].text), right, step: 10, mode: "swap" };
}

function cut(m: ModelCard, e: Example): Question | null {
  const tested = e.knockouts.filter((k) => k.head === null && k.layer !== null && k.null_values.length);
  const knock = tested.sort((a, b) => Math.abs(b.after - b.before) - Math.abs(a.after - a.before))[0];
  if (!knock) return null;
  const rare = isRare(knock);
  const right = rare ? 3 : { needed: 0, "in its way": 1, "no more than chance": 2, "too few to tell": 3, "no control": 3 }[knock.verdict];
  return { of: "cut", ...quiz.cut(reader(e), mention(m, e.answers.labels[0].text), `${knock.tokens.length > 1 ? `${knock.tokens.length} ` : ""}most read ${piece(m, knock.tokens.length > 1)}`, layerName(knock.layer!), rare ? words.matter.rareMeans(knock.together, true) : words.matter.means[knock.verdict], say(m, knock.before), say(m, knock.after), words.matter.p(number(knock.p ?? 1), knock.together, number(knock.p_together ?? 1), true, rare)), right, step: 5 };
}

function causal(m: ModelCard, e: Example): Question | null {
  if (!e.causal || story(e) !== "class" || e.watched !== 0) return null;
  const left = e.causal.change / (e.causal.reference || 1);
  return { of: "causal", ...quiz.causal(thing(m), number(e.causal.reference, 2), number(e.causal.change, 2)), right: left < 0.01 ? 2 : left < 0.75 ? 1 : 0, step: 10, mode: "causal" };
}

function twice(e: Example): Question | null {
  if (!e.two) return null;
  const cosine = open(e.two.cosine).at(e.two.cosine.shape[0] - 1);
  return { of: "twice", ...quiz.twice(number(cosine)), right: cosine > 0.999 ? 0 : cosine > 0.2 ? 1 : 2, step: 10, mode: "two" };
}

function averaged(m: ModelCard, e: Example): Question | null {
  const lane = e.race.find((each) => each.name === "mean" && !each.own && each.values);
  if (!lane || m.outcome === "cosine") return null;
  const values = open(lane.values!).all();
  const best = firstOf(m, e, values);
  if (best === null) return null;
  return { of: "averaged", ...quiz.averaged(m.readout.reads_class_token ? reader(e) : m.readout.says, mention(m, e.answers.labels[0].text), e.answers.labels[best].text, say(m, values[best])), right: best === 0 ? 0 : 1, step: 10, mode: "pooling" };
}

function untrained(e: Example): Question | null {
  if (!e.untrained) return null;
  const spread = effectiveTokens(open(e.untrained.weights).row(0)) / e.tokens.length;
  return { of: "untrained", ...quiz.untrained(reader(e), e.tokens.length, (spread * e.tokens.length).toFixed(1)), right: spread > 0.75 ? 2 : spread > 0.3 ? 1 : 0, step: 10, mode: "untrained" };
}

function honest(e: Example, calibration: CalibrationChart | null): Question | null {
  const value = open(e.answers.values).at(0);
  const bin = calibration?.bins.find((each) => value > each.low && value <= each.high);
  if (!bin?.accuracy || e.origin === "yours") return null;
  const { low, high, mean } = bin.accuracy;
  const right = bin.confidence > high ? 0 : bin.confidence < low ? 2 : 1;
  return { of: "honest", ...quiz.honest(percent(bin.confidence), percent(mean, 0), percent(low, 0), percent(high, 0), calibration!.data), right, step: 9 };
}
