/** Pictures from their data URIs, each decoded once. */
const pictures = new Map<string, Promise<HTMLImageElement>>();

export function pictureOf(source: string): Promise<HTMLImageElement> {
  let found = pictures.get(source);
  if (!found) {
    const image = new Image();
    found = new Promise((done) => {
      image.onload = () => done(image);
    });
    image.src = source;
    pictures.set(source, found);
  }
  return found;
}

const greys = new WeakMap<HTMLImageElement, HTMLCanvasElement>();

/** Draws a picture without its colours: under others it loses its own. */
export function greyed(canvas: HTMLCanvasElement, source: string) {
  const draw = (from: string) =>
    void pictureOf(from).then((picture) => {
      const plain = grey(picture);
      [canvas.width, canvas.height] = [plain.width, plain.height];
      canvas.getContext("2d")!.drawImage(plain, 0, 0);
    });
  draw(source);
  return { update: draw };
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
