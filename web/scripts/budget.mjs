// Fails the build when the shell's first script, or what opening a feature adds
// to it, grows beyond its budget, as compressed by brotli, which is what browsers
// get over TLS and on localhost; over plain HTTP they take gzip, named beside it.
// Parts that load when needed (livekit-client, an editor) are dynamic imports and
// count for nobody's first load. Reads the manifest that Vite wrote and the files
// that compress.mjs laid beside the scripts.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const dist = path.join(path.dirname(fileURLToPath(import.meta.url)), "..", "dist");
const manifest = JSON.parse(readFileSync(path.join(dist, "assets/manifest.json"), "utf8"));
const budget = { shell: 150, feature: 250 };

const file = (name) => readFileSync(path.join(dist, name));
const brotli = (name) => (existsSync(path.join(dist, `${name}.br`)) ? file(`${name}.br`) : file(name)).length / 1024;
const gzip = (name) => gzipSync(file(name)).length / 1024;

/** The scripts that a chunk needs before it runs. */
function closure(key, into = new Set()) {
  const chunk = manifest[key];
  if (!chunk) throw new Error(`the build has no ${key} of its own any more: mend scripts/budget.mjs`);
  if (into.has(chunk.file)) return into;
  if (chunk.file.endsWith(".js")) into.add(chunk.file);
  for (const k of chunk.imports ?? []) closure(k, into);
  return into;
}
const sum = (files, size) => [...files].reduce((n, f) => n + size(f), 0);

let failed = false;
const report = (name, files, max) => {
  const kb = sum(files, brotli);
  const over = kb > max;
  failed ||= over;
  console.log(`${over ? "OVER  " : "ok    "} ${name}: ${kb.toFixed(1)} KB of ${max} KB (gzip ${sum(files, gzip).toFixed(1)} KB)`);
};

// The shell is what draws the frame, its Vietnamese texts included.
const shell = closure("src/app/SignedIn.tsx", closure("src/app/Frame.tsx", closure("index.html")));
report("shell", shell, budget.shell);
report("sign-in page", closure("src/app/SignInPage.tsx", closure("index.html")), budget.shell);
for (const [key, chunk] of Object.entries(manifest)) {
  if (!chunk.isDynamicEntry || !key.startsWith("src/features/") || key.endsWith(".json")) continue;
  report(key, new Set([...closure(key)].filter((f) => !shell.has(f))), budget.feature);
}
if (failed) process.exit(1);
