/** The reader's own inputs: sent to the model that the page shows, and again to another one that it shows later. */
import { api, ask } from "./api";
import { bare } from "./bidi";
import { withExperiments } from "./classTokens";
import { lab, walkTo } from "./lab.svelte";
import { exchange, view } from "./state.svelte";

interface Sent {
  content: Blob | string;
  title: string; // a file is called what it is called; "": what the server calls it
  id: string | null; // of the model that is shown
}

let sent: Sent[] = [];

/** Show an input of one's own. Throws what the server says against it. */
export async function send(content: Blob | string, title = ""): Promise<void> {
  const each: Sent = { content, title, id: null };
  sent = [...sent, each];
  try {
    await walk(each, true);
  } catch (error) {
    sent = sent.filter((other) => other !== each);
    throw error;
  }
}

/** Walk one through the model that is shown. What comes back when another is shown by then is of the wrong model. */
async function walk(each: Sent, show: boolean): Promise<void> {
  const document = view.document;
  const work = typeof each.content === "string" ? api.text(each.content) : api.image(each.content);
  const found = await work.catch((error: unknown) => {
    if (view.document === document) throw error;
  });
  if (!found || view.document !== document) return;
  each.id = found.id;
  view.added = [...view.added, each.title ? { ...found, title: untaken(each.title) } : found];
  if (show) walkTo(view.examples.length - 1);
  void experiments(found.id);
}

const queue: string[] = []; // inputs whose experiments are still to be asked for
let busy = false;

/** A file's name; of a second file of that name, or the same again, with a number behind: titles tell inputs apart. */
function untaken(title: string): string {
  const taken = new Set(view.examples.map((each) => bare(each.title)));
  let name = title;
  for (let n = 2; taken.has(name); n++) name = `${title} (${n})`;
  return name;
}

/** Knock-outs and removals take longer than the trace: they are asked for once it is shown. One at a time, that of the
 * input that is looked at first: a browser has six connections to a server, and the page needs one for everything else. */
async function experiments(id: string): Promise<void> {
  queue.push(id);
  view.working = new Set([...view.working, id]);
  if (busy) return;
  busy = true;
  while (queue.length) {
    const next = queue.splice(Math.max(0, queue.indexOf(view.whole?.id ?? "")), 1)[0];
    // Another model has been opened meanwhile, or the input went with it.
    if (view.added.some((each) => each.id === next)) await experiment(next);
  }
  busy = false;
}

async function experiment(id: string): Promise<void> {
  const document = view.document;
  try {
    const found = await api.experiments(id);
    if (view.document !== document) return;
    view.added = view.added.map((each) => (each.id === id ? withExperiments(each, found) : each));
  } catch {
    // The page says that they are not there; the input itself is complete.
  }
  if (view.document === document) view.working = new Set([...view.working].filter((each) => each !== id));
}

/** Whose refusal it is, where several were sent: `name.jpg: what is wrong with it`. */
const said = ({ title, content }: Pick<Sent, "title" | "content">, error: unknown): string =>
  [title || (typeof content === "string" ? `“${content.slice(0, 30)}”` : ""), (error as Error).message].filter(Boolean).join(": ");

/** Show several, one after another; what is refused holds up none of the others. Gives what the server says, in sentences. */
export async function sendAll(files: File[]): Promise<string[]> {
  const refused: string[] = [];
  for (const file of files) await send(file, file.name).catch((error: unknown) => refused.push(files.length > 1 ? said({ title: file.name, content: file }, error) : (error as Error).message));
  return refused;
}

interface Opened {
  place?: () => void; // goes where an address leads, once the model is there
  refused: (says: string) => void; // is told what went wrong
}

/** Show another model, and one's own inputs by it. A second one that is asked for takes the place of the first. */
export async function openModel(name: string, { place, refused }: Opened): Promise<void> {
  const stop = new AbortController();
  view.opening?.cancel();
  const opening = (view.opening = { name, cancel: () => stop.abort() });
  try {
    const document = await api.document(name, stop.signal);
    if (stop.signal.aborted) return;
    ask(name);
    lab.removed = new Set();
    lab.donor = null;
    // Which of one's own inputs is looked at stays so, unless an address says otherwise.
    const which = place ? -1 : sent.findIndex((each) => each.id !== null && each.id === view.whole?.id);
    exchange(document);
    place?.();
    void again(which).catch((error: unknown) => refused((error as Error).message));
  } catch (error) {
    if (!stop.signal.aborted) refused((error as Error).message);
  } finally {
    if (view.opening === opening) view.opening = null;
  }
}

/** The same inputs by the model that is shown now, where it reads such; the one that was looked at is shown. */
async function again(which: number): Promise<void> {
  const texts = view.model!.modality === "text";
  const document = view.document;
  const refused: string[] = [];
  for (const each of sent) each.id = null;
  queue.length = 0; // they were of the model before
  for (const [i, each] of sent.entries()) {
    if ((typeof each.content === "string") !== texts) continue;
    if (view.document !== document) return;
    await walk(each, i === which).catch((error: unknown) => refused.push(said(each, error)));
  }
  if (refused.length) throw new Error(refused.join(" "));
}
