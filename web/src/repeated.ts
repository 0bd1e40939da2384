/** A page on disk writes a long text that stands in its document more than once, as a picture or the positions of every
 * input, only once: in `repeated`; `{"repeated": 0}` stands in its places. */

interface Folded {
  repeated?: string[];
}

/** The document with every text in its place again. */
export function unfolded<T>(document: T & Folded): T {
  const texts = document?.repeated;
  if (!texts) return document;
  const walk = (node: Record<string, unknown> | unknown[]) => {
    for (const [key, value] of Object.entries(node)) {
      if (value === null || typeof value !== "object") continue;
      const place = (value as { repeated?: unknown }).repeated;
      if (typeof place === "number") (node as Record<string, unknown>)[key] = texts[place];
      else walk(value as Record<string, unknown>);
    }
  };
  delete document.repeated;
  walk(document as Record<string, unknown>);
  return document;
}
