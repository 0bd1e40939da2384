// Write what the bundle was built from beside it: a test compares, so that bundle and source cannot drift apart.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const SOURCES = ["package.json", "package-lock.json", "svelte.config.js", "tsconfig.json", "vite.config.ts", "src", "tools"];
const OUT = "../src/classtoken/page/static";

function files(path) {
  try {
    return readdirSync(path).sort().flatMap((name) => files(`${path}/${name}`));
  } catch {
    return [path];
  }
}

const sha = (bytes) => createHash("sha256").update(bytes).digest("hex");
const sources = createHash("sha256");
for (const file of SOURCES.flatMap(files).sort()) sources.update(`${file}\0${sha(readFileSync(file))}\n`);
const outputs = Object.fromEntries(["app.css", "app.js"].map((name) => [name, sha(readFileSync(join(OUT, name)))]));
writeFileSync(join(OUT, "bundle.json"), `${JSON.stringify({ sources: sources.digest("hex"), outputs }, null, 2)}\n`);
