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
