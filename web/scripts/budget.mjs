// Fails the build when the shell's first script, or what opening a feature adds
// to it, grows beyond its budget (compressed). Parts that load when needed
// (livekit-client, an editor) are dynamic imports and count for nobody's first
// load. Reads the manifest that Vite wrote.
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const dist = path.join(path.dirname(fileURLToPath(import.meta.url)), "..", "dist");
const manifest = JSON.parse(readFileSync(path.join(dist, "assets/manifest.json"), "utf8"));
// The design allows the shell 150. It is not there yet; this line keeps it from growing meanwhile.
const budget = { shell: 205, feature: 250 };

const size = (file) => gzipSync(readFileSync(path.join(dist, file))).length / 1024;

/** The scripts that a chunk needs before it runs. */
function closure(key, into = new Set()) {
  const chunk = manifest[key];
  if (!chunk || into.has(chunk.file)) return into;
  if (chunk.file.endsWith(".js")) into.add(chunk.file);
  for (const k of chunk.imports ?? []) closure(k, into);
  return into;
}
const sum = (files) => [...files].reduce((n, f) => n + size(f), 0);

// The shell is what draws the frame, its routes' chunk included.
const shell = closure("src/app/Frame.tsx", closure("index.html"));
if (!manifest["src/app/Frame.tsx"]) throw new Error("the frame is no chunk of its own any more: mend scripts/budget.mjs");
let failed = false;
const report = (name, kb, max) => {
  const over = kb > max;
  failed ||= over;
  console.log(`${over ? "OVER  " : "ok    "} ${name}: ${kb.toFixed(1)} KB of ${max} KB compressed`);
};
report("shell", sum(shell), budget.shell);
report("sign-in page", sum(closure("src/app/SignInPage.tsx", closure("index.html"))), budget.shell);
for (const [key, chunk] of Object.entries(manifest)) {
  if (!chunk.isDynamicEntry || !key.startsWith("src/features/") || key.endsWith(".json")) continue;
  report(key, sum([...closure(key)].filter((f) => !shell.has(f))), budget.feature);
}
if (failed) process.exit(1);
