/** Pictures from their data URIs, each decoded once. */
interface Decoded {
  image: HTMLImageElement;
  waiting: ((picture: HTMLImageElement) => void)[] | null; // null: it is there
}
const pictures = new Map<string, Decoded>();

/** Calls `draw` with the picture: at once where it is decoded already, since paper waits for nothing. Gives what stops it. */
export function withPicture(source: string, draw: (picture: HTMLImageElement) => void): () => void {
  let found = pictures.get(source);
  if (!found) {
    const made: Decoded = { image: new Image(), waiting: [] };
    made.image.onload = () => {
      const waiting = made.waiting ?? [];
      made.waiting = null;
      for (const each of waiting) each(made.image);
    };
    made.image.src = source;
    pictures.set(source, (found = made));
  }
  if (!found.waiting) {
    draw(found.image);
    return () => undefined;
  }
  const { waiting } = found;
  waiting.push(draw);
  return () => void (waiting.includes(draw) && waiting.splice(waiting.indexOf(draw), 1));
}

const greys = new WeakMap<HTMLImageElement, HTMLCanvasElement>();

/** Draws a picture without its colours: under others it loses its own. */
export function greyed(canvas: HTMLCanvasElement, source: string) {
  const draw = (picture: HTMLImageElement) => {
    const plain = grey(picture);
    [canvas.width, canvas.height] = [plain.width, plain.height];
    canvas.getContext("2d")!.drawImage(plain, 0, 0);
  };
  let stop = withPicture(source, draw);
  const update = (from: string) => {
    stop();
    stop = withPicture(from, draw);
  };
  return { update, destroy: () => stop() };
}

/** The picture without its colours, made once: a filter at every stroke takes a hundred times as long. */
export function grey(picture: HTMLImageElement): HTMLCanvasElement {
  let made = greys.get(picture);
  if (!made) {
    made = document.createElement("canvas");
    [made.width, made.height] = [picture.naturalWidth, picture.naturalHeight];
    const context = made.getContext("2d")!;
    context.drawImage(picture, 0, 0);
    const pixels = context.getImageData(0, 0, made.width, made.height);
    const { data } = pixels;
    for (let i = 0; i < data.length; i += 4) data[i] = data[i + 1] = data[i + 2] = 0.3 * data[i] + 0.59 * data[i + 1] + 0.11 * data[i + 2];
    context.putImageData(pixels, 0, 0);
    greys.set(picture, made);
  }
  return made;
}
