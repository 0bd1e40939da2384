import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// One script and one style sheet with fixed names: the Python package puts them into a page on disk, or serves them.
export default defineConfig({
  plugins: [svelte({ compilerOptions: { css: "external" } })],
  base: "./",
  build: {
    outDir: "../src/classtoken/page/static",
    emptyOutDir: false, // the pages that need no building lie there too
    target: "es2022",
    cssCodeSplit: false,
    modulePreload: false,
    assetsInlineLimit: 0,
    rollupOptions: {
      input: "src/main.ts",
      output: { format: "iife", entryFileNames: "app.js", assetFileNames: "app[extname]", codeSplitting: false },
    },
  },
  test: { include: ["tests/**/*.test.ts"] },
} as never);
