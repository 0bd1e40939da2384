/** The server behind a served page; a page on disk has none. The key comes in the fragment and travels in a header. */
import type { Block, Example, Experiments, Walkthrough } from "./data";
import { words } from "./strings";

const KEY = "classtoken-key";

/** Does the address bring a key? A server that was started again prints another one. */
export const newKey = (): boolean => {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  return key !== null && key !== sessionStorage.getItem(KEY);
};

/** Take the key out of the address, so that it does not end up in a copied link. */
export function takeKey(): string | null {
  const part = new URLSearchParams(location.hash.slice(1));
  const key = part.get("key");
  if (key) {
    sessionStorage.setItem(KEY, key);
    part.delete("key");
    history.replaceState(null, "", `#${part.toString()}`);
  }
  return key ?? sessionStorage.getItem(KEY);
}

let model: string | null = null; // another than the one that the server was started with

/** Ask about this model from now on. */
export const ask = (name: string | null): void => void (model = name);

/** There is no server, or no whole answer of one; what the reader gave up stays that. */
function gone(error: unknown): never {
  throw error instanceof DOMException && error.name === "AbortError" ? error : new Error(words.errors.offline);
}

async function call<T>(path: string, options: RequestInit = {}, of: string | null = model): Promise<T> {
  const headers = new Headers(options.headers);
  headers.set("X-Classtoken-Key", takeKey() ?? "");
  const response = await fetch(of === null ? path : `${path}?model=${encodeURIComponent(of)}`, { ...options, headers, credentials: "omit", redirect: "error" }).catch(gone);
  // What breaks off in the middle of an answer is no answer, whatever its status was.
  const body = await (response.ok ? response.json().catch(gone) : response.json().catch(() => ({ error: `${response.status} ${response.statusText}` })));
  if (!response.ok) throw new Error((body as { error?: string }).error ?? String(response.status));
  return body as T;
}

export interface Change {
  removed?: number[];
  swap?: { donor: string; layer: number; token: number };
}

export const api = {
  document: (of: string | null = null, signal?: AbortSignal) => call<Walkthrough>("api/document", { signal }, of),
  models: () => call<string[]>("api/models"),
  image: (file: Blob) => call<Example>("api/input", { method: "POST", body: file, headers: { "Content-Type": file.type || "application/octet-stream" } }),
  text: (text: string) => call<Example>("api/input", { method: "POST", body: text, headers: { "Content-Type": "text/plain; charset=utf-8" } }),
  experiments: (example: string) => call<Experiments>(`api/experiments/${encodeURIComponent(example)}`),
  matrix: (example: string, layer: number, head: number) => call<Block>(`api/attention/${encodeURIComponent(example)}/${layer}/${head}`),
  pair: (one: string, other: string) => call<{ address: string }>(`api/pair/${encodeURIComponent(one)}/${encodeURIComponent(other)}`),
  whatIf: (example: string, change: Change) =>
    call<{ values: Block }>("api/whatif", { method: "POST", body: JSON.stringify({ example, ...change }), headers: { "Content-Type": "application/json" } }),
};

/** True when the page was served, not opened from disk or a notebook. */
export const served = (): boolean => document.documentElement.dataset.shell === "served";
