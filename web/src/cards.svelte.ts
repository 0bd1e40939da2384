/** One way for every mark of every picture: under the pointer, or led to by the arrow keys, it says what it is.
 *
 * A picture's marks are its elements with `data-mark`, in that order; where it is a canvas, `at` and `spot` say where they
 * lie. The card itself is drawn by HoverCard, and read aloud when a key led to it.
 */
import type { Action } from "svelte/action";
import { view } from "./state.svelte";

export interface Card {
  title: string;
  rows?: [string, string][];
  token?: number | null; // the token that it stands for: it lights up everywhere
  tokens?: readonly number[]; // or several
}

export interface Marks {
  card: (i: number) => Card | null;
  count?: number; // of a canvas
  at?: (x: number, y: number) => number | null; // which mark of a canvas lies there, in shares of its size
  spot?: (i: number) => [number, number]; // and where one lies
  now?: number; // the one where the arrow keys begin
  pick?: ((i: number) => void) | null; // Enter
  keys?: boolean; // false: its keys are its own
}

export interface Shown extends Card {
  x: number;
  y: number;
  spoken: boolean; // a key led here
}

const NEAR = 14; // px from the pointer to a mark that is no larger than a dot

/** Show a card at a place of the window; `spoken`: read it aloud, too. What is shown now. */
export function showCard(card: Card | null, x: number, y: number, spoken = false): Shown | null {
  view.card = card && { ...card, x, y, spoken };
  view.lit = new Set(card?.tokens ?? []);
  if (card?.token !== undefined) view.hovered = card.token;
  return view.card;
}

export function hideCard(): void {
  if (!view.card) return;
  if (view.card.token !== undefined) view.hovered = null;
  view.card = null;
  view.lit = new Set();
}

/** An element whose marks answer the pointer, and, where it can take the focus, the arrow keys. */
export const marks: Action<HTMLElement | SVGElement, Marks> = (element, given) => {
  let now = given;
  let place: number | null = null;
  let mine: Shown | null = null;
  element.dataset.marks = "";
  const all = () => [...element.querySelectorAll<HTMLElement | SVGElement>("[data-mark]")];

  function light(i: number | null) {
    place = i;
    all().forEach((mark, k) => mark.toggleAttribute("data-here", k === i));
  }
  function clear() {
    light(null);
    if (mine && view.card === mine) hideCard();
    mine = null;
  }
  /** The page may be changing just now, and this be a part of it that goes. */
  const later = () => queueMicrotask(clear);
  /** The mark under a point of the window: the one that it is in, else the nearest. */
  function under(x: number, y: number): number | null {
    if (now.at) {
      const box = element.getBoundingClientRect();
      return now.at((x - box.left) / box.width, (y - box.top) / box.height);
    }
    let [best, least] = [-1, NEAR];
    all().forEach((mark, i) => {
      const box = mark.getBoundingClientRect();
      const far = Math.hypot(Math.max(box.left - x, 0, x - box.right), Math.max(box.top - y, 0, y - box.bottom));
      const middle = Math.hypot(box.left + box.width / 2 - x, box.top + box.height / 2 - y) / 1e4; // of two that both hold the point
      if (far + middle < least) [best, least] = [i, far + middle];
    });
    return best < 0 ? null : best;
  }
  function where(i: number): [number, number] {
    const outer = element.getBoundingClientRect();
    if (now.spot) {
      const [x, y] = now.spot(i);
      return [outer.left + x * outer.width, outer.top + y * outer.height];
    }
    const box = (all()[i] ?? element).getBoundingClientRect();
    return [box.left + box.width / 2, Math.min(box.bottom, outer.bottom)];
  }
  function reach(i: number) {
    light(i);
    mine = showCard(now.card(i), ...where(i), true);
  }
  function move(event: Event) {
    const { clientX, clientY, pointerType } = event as PointerEvent;
    if (pointerType === "touch") return;
    const i = under(clientX, clientY);
    if (i === null) return clear();
    if (i !== place) light(i);
    mine = showCard(now.card(i), clientX, clientY);
  }
  function focus(event: Event) {
    if (now.keys === false) return;
    const mark = (event.target as Element).closest("[data-mark]");
    if (!(event.target as Element).matches(":focus-visible")) return;
    reach(mark ? all().indexOf(mark as HTMLElement) : (now.now ?? 0));
  }
  function key(raw: Event) {
    const event = raw as KeyboardEvent;
    if (event.target !== element || now.keys === false) return;
    const last = (now.count ?? all().length) - 1;
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const from = place ?? now.now ?? 0;
    if (by) reach(Math.min(last, Math.max(0, from + by)));
    else if (event.key === "Home") reach(0);
    else if (event.key === "End") reach(last);
    else if (event.key === "Enter" && now.pick) now.pick(from);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
  const heard: [string, (event: Event) => void][] = [["pointermove", move], ["pointerleave", clear], ["focusin", focus], ["focusout", later], ["keydown", key]];
  for (const [name, hear] of heard) element.addEventListener(name, hear);
  return {
    update: (other) => void (now = other),
    destroy() {
      later();
      for (const [name, hear] of heard) element.removeEventListener(name, hear);
    },
  };
};
