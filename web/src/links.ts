/** Deep links: `#step=5&layer=2&head=0&token=17&number=3&reads=back&input=cat`. All but steps count from 0 there, as everywhere.
 *
 * What one sees is in them: colours, an open drawer, the sum that is followed. Not whether it is dark or presented, which is
 * a matter of whose screen it is. */
import { classTokens } from "./classTokens";
import { donors, lab, type Mode } from "./lab.svelte";
import { served } from "./api";
import { start, toOwnHead, view } from "./state.svelte";
import { words } from "./strings";

const DRAWERS = ["concepts", "beside", "claims", "quiz"] as const;
const FOLLOWED = 12; // numbers clicked through that a link keeps, the last ones
const OF_INPUT = ["class", "token", "answer", "with", "follows", "donor", "without"]; // they mean nothing of another one
const MODES: Mode[] = ["remove", "pooling", "swap", "causal", "two", "untrained"];

const PLACES = ["layer", "head", "token", "number"] as const;
const isPlace = (name: string): name is (typeof PLACES)[number] => (PLACES as readonly string[]).includes(name);

export function readHash(hash: string): void {
  const part = new URLSearchParams(hash.replace(/^#/, ""));
  const beyond: Parameters<typeof words.lost.place>[0] = [];
  const whole = (name: string, low: number, high: number): number | null => {
    const text = part.get(name);
    if (text === null || !/^\d+$/.test(text)) return null;
    const shown = Math.min(high, Math.max(low, Number(text)));
    if (shown < Number(text) && isPlace(name)) beyond.push({ what: name, asked: Number(text), last: high, shown });
    return shown;
  };
  const input = part.get("input");
  const found = view.examples.findIndex((example) => example.id === input);
  const lost = input !== null && found < 0;
  if (lost) for (const name of OF_INPUT) part.delete(name);
  if (found >= 0 && found !== view.which) {
    view.which = found;
    start(view.examples[found]);
  }
  const model = view.model;
  if (!model || !view.example) return;
  view.lost = lost ? words.lost.input(input, served() && input.startsWith("yours-"), view.example.title) : "";
  view.step = whole("step", 1, 10) ?? view.step;
  const layer = whole("layer", 0, model.depth - 1);
  if (layer !== null) {
    view.layer = layer;
    view.settled = true; // the link says where
  }
  if (part.has("head")) {
    const head = whole("head", 0, model.heads - 1);
    view.head = head;
    view.headed = true;
  } else toOwnHead();
  const watched = whole("class", 0, view.whole!.tokens.length - 1);
  view.chosen = watched !== null && classTokens(view.whole!).includes(watched) ? watched : null;
  const token = whole("token", 0, view.example.tokens.length - 1);
  if (token !== null) {
    view.token = token;
    view.picked = true;
  }
  view.back = part.get("reads") === "back";
  view.dimension = whole("number", 0, model.hidden - 1) ?? view.dimension;
  view.heat = part.get("colours") !== "off";
  view.shared = part.get("scale") === "shared";
  view.ignored = part.get("least") === "hatched";
  view.truth = part.get("object") === "outlined";
  view.tables = part.get("tables") === "open";
  view.answer = whole("answer", 0, view.example.answers.labels.length - 1) ?? 0;
  view.drawer = DRAWERS.find((each) => each === part.get("open")) ?? null;
  const partner = part.get("with");
  view.partner = view.examples.some((each) => each.id === partner) ? partner : null;
  const followed = (part.get("follows") ?? "").split(" ").filter(Boolean);
  view.trail = view.source && followed.every(view.source.has) ? followed : [];
  const mode = part.get("try");
  lab.mode = mode && MODES.includes(mode as Mode) ? (mode as Mode) : "remove";
  lab.swapLayer = whole("before", 0, model.depth) ?? lab.swapLayer;
  const donor = part.get("donor");
  lab.donor = donors().some((each) => each.id === donor) ? donor : null;
  lab.pooling = view.example.poolings.find((each) => each.name === part.get("pooling"))?.name ?? lab.pooling;
  if (beyond.length && !view.lost) view.lost = words.lost.place(beyond);
  const removed = (part.get("without") ?? "").split(".").filter((text) => /^\d+$/.test(text)).map(Number);
  lab.removed = new Set(removed.filter((t) => view.example!.tokens[t]?.role === "content"));
}

/** A frame in a notebook has no address of its own: nothing to keep a place in, or to hand on. */
export const addressed = location.protocol !== "about:";

/** Keep the place in the address. */
export function keepPlace(): void {
  if (addressed) history.replaceState(null, "", writeHash());
}

export function writeHash(): string {
  const part = new URLSearchParams();
  part.set("step", String(view.step));
  part.set("layer", String(view.layer));
  part.set("head", view.head === null ? "all" : String(view.head));
  part.set("token", String(view.token));
  if (view.dimension) part.set("number", String(view.dimension));
  if (view.back && view.step === 5) part.set("reads", "back");
  if (view.chosen !== null) part.set("class", String(view.chosen));
  if (!view.heat) part.set("colours", "off");
  if (view.shared) part.set("scale", "shared");
  if (view.ignored) part.set("least", "hatched");
  if (view.truth) part.set("object", "outlined");
  if (view.tables) part.set("tables", "open");
  if (view.answer && view.step === 9) part.set("answer", String(view.answer));
  if (view.drawer) part.set("open", view.drawer);
  if (view.drawer === "beside" && view.partner) part.set("with", view.partner);
  if (view.trail.length) part.set("follows", view.trail.slice(-FOLLOWED).join(" "));
  if (view.step === 10 && lab.mode !== "remove") part.set("try", lab.mode);
  if (view.step === 10 && lab.mode === "swap") {
    part.set("before", String(lab.swapLayer));
    if (lab.donor) part.set("donor", lab.donor);
  }
  if (view.step === 10 && lab.mode === "pooling") part.set("pooling", lab.pooling);
  if (view.step === 10 && lab.removed.size) part.set("without", [...lab.removed].sort((a, b) => a - b).join("."));
  if (view.models.length > 1 && view.model!.name !== view.models[0]) part.set("model", view.model!.name);
  if (view.example) part.set("input", view.example.id);
  return `#${part.toString()}`;
}
