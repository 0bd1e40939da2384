/** The film: the layers one after another, in about eight seconds. Where motion is not wanted, layer by layer. */
import { view } from "./state.svelte";

export const SECONDS = 8;

export const still = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

let last = 0;

function frame(now: number): void {
  if (!view.playing || !view.model) return;
  const depth = view.model.depth;
  const passed = Math.min(0.25, (now - last) / 1000);
  last = now;
  scrub((view.film ?? -1) + (passed * depth) / SECONDS);
  if (view.film! >= depth - 1) end();
  else requestAnimationFrame(frame);
}

function end(): void {
  view.playing = false;
  view.layer = view.model!.depth - 1;
  view.film = null;
}

/** Show a moment of the film: -1 is before the first layer. */
export function scrub(moment: number): void {
  const last = view.model!.depth - 1;
  view.film = Math.min(last, Math.max(-1, still() ? Math.round(moment * 2) / 2 : moment));
  const layer = Math.min(last, Math.max(0, Math.round(view.film)));
  if (layer !== view.layer) {
    view.layer = layer;
    view.trail = [];
  }
}

export function play(): void {
  if (view.playing) {
    view.playing = false;
    return;
  }
  const done = view.film === null || view.film >= view.model!.depth - 1;
  view.film = done ? -1 : view.film;
  view.playing = true;
  view.settled = true;
  last = performance.now();
  requestAnimationFrame(frame);
}
