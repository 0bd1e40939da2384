import { bare } from "./bidi";

/** Text into the clipboard; false where the browser does not let a page do that. */
export async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** A table as other programs read it: RFC 4180, a full stop in numbers, every digit that the page holds. */
export function csv(columns: string[], rows: (string | number)[][]): string {
  const cell = (x: string | number) => (typeof x === "number" ? String(x) : /[",\n]/.test(x) ? `"${bare(x).replaceAll('"', '""')}"` : bare(x));
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}
