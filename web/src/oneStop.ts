/** Buttons of one kind that stand together are one stop for the Tab key: the arrow keys lead from one to the next. */
import type { Action } from "svelte/action";

/** `columns`: buttons in a row, where rows stand below each other. */
export const oneStop: Action<HTMLElement, number | undefined> = (element, columns) => {
  let wide = columns ?? 1;
  const all = () => [...element.querySelectorAll<HTMLButtonElement>("button:not(:disabled)")];
  /** Tab comes to the one that had the focus last, else to the chosen one, else to the first. */
  function settle(): void {
    const list = all();
    const focused = list.find((each) => each === document.activeElement);
    const last = list.find((each) => each.tabIndex === 0 && "last" in each.dataset);
    const here = focused ?? last ?? list.find((each) => each.getAttribute("aria-pressed") === "true") ?? list[0];
    for (const each of list) {
      const stop = each === here ? 0 : -1;
      if (each.tabIndex !== stop) each.tabIndex = stop;
    }
  }
  function focus(event: FocusEvent) {
    for (const each of all()) delete each.dataset.last;
    if (event.target instanceof HTMLButtonElement) event.target.dataset.last = "";
    settle();
  }
  function key(event: KeyboardEvent) {
    const list = all();
    const now = list.indexOf(event.target as HTMLButtonElement);
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: wide, ArrowUp: -wide }[event.key];
    const to = by ? now + by : event.key === "Home" ? 0 : event.key === "End" ? list.length - 1 : null;
    if (now < 0 || to === null || event.ctrlKey || event.metaKey || event.altKey) return;
    list[to]?.focus();
    event.preventDefault();
    event.stopPropagation();
  }
  const changed = new MutationObserver(settle);
  changed.observe(element, { childList: true, subtree: true, attributes: true, attributeFilter: ["aria-pressed", "disabled"] });
  element.addEventListener("focusin", focus);
  element.addEventListener("keydown", key);
  settle();
  return {
    update: (next) => void (wide = next ?? 1),
    destroy() {
      changed.disconnect();
      element.removeEventListener("focusin", focus);
      element.removeEventListener("keydown", key);
    },
  };
};
