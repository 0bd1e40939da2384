/** The film: the layers one after another, in about eight seconds, fewer where there are few layers. Where motion is not wanted, layer by layer. */
import { view } from "./state.svelte";

const SECONDS = 8; // of many layers
const LAYER = 2; // seconds that one layer takes at the most

export const still = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

let last = 0;
let reached = -1; // where the film is; shown in whole layers where motion is not wanted

function frame(now: number): void {
  if (!view.playing || !view.model) return;
  const depth = view.model.depth;
  const passed = Math.min(0.25, (now - last) / 1000);
  last = now;
  reached += Math.max((passed * depth) / SECONDS, passed / LAYER);
  scrub(reached);
  if (reached >= depth - 1) end();
  else requestAnimationFrame(frame);
}

function end(): void {
  view.playing = false;
  view.film = null;
  arrive(view.model!.depth - 1);
}

function arrive(layer: number): void {
  if (layer === view.layer) return;
  view.layer = layer;
  view.trail = [];
}

/** The layer that a moment of the film belongs to. */
const layerAt = (moment: number): number => Math.min(view.model!.depth - 1, Math.max(0, Math.round(moment)));

/** Show a moment of the film: -1 is before the first layer. */
export function scrub(moment: number): void {
  const last = view.model!.depth - 1;
  view.film = Math.min(last, Math.max(-1, still() ? Math.round(moment) : moment));
  // Where a whole table belongs to a layer, it waits for the film to stop.
  if (view.step < 4 || view.step > 6) arrive(layerAt(view.film));
}

export function play(): void {
  if (view.playing) {
    view.playing = false;
    arrive(layerAt(view.film ?? view.layer));
    return;
  }
  const done = view.film === null || view.film >= view.model!.depth - 1;
  reached = done ? -1 : view.film!;
  view.film = reached;
  view.playing = true;
  view.settled = true;
  last = performance.now();
  requestAnimationFrame(frame);
}
