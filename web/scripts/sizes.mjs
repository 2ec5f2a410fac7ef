// Says what the shell's script is made of: `npm run sizes`. It builds once more,
// in memory, and shares out each file's compressed size among the packages that
// its text comes from.
import path from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "vite";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const { output } = await build({ root, logLevel: "error", build: { write: false, manifest: false } });
const chunks = new Map(output.filter((o) => o.type === "chunk").map((o) => [o.fileName, o]));

function closure(name, into = new Set()) {
  if (!chunks.has(name) || into.has(name)) return into;
  into.add(name);
  for (const next of chunks.get(name).imports) closure(next, into);
  return into;
}

const owner = (source) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source ?? "")?.[1] ?? "our own";

/** How many characters of a file come from whom, before they are minified. */
function shares({ modules }) {
  const found = new Map();
  for (const [id, { renderedLength }] of Object.entries(modules)) found.set(owner(id), (found.get(owner(id)) ?? 0) + renderedLength);
  return found;
}

const entry = [...chunks.values()].find((c) => c.facadeModuleId?.endsWith("index.html"));
const total = { brotli: 0, gzip: 0 };
const of = new Map();
for (const name of closure(entry.fileName)) {
  const chunk = chunks.get(name);
  const size = { brotli: brotliCompressSync(chunk.code).length, gzip: gzipSync(chunk.code).length };
  const found = shares(chunk);
  const all = [...found.values()].reduce((a, b) => a + b, 0) || 1;
  for (const kind of ["brotli", "gzip"]) {
    total[kind] += size[kind];
    for (const [who, n] of found) of.set(who, { brotli: 0, gzip: 0, ...of.get(who), [kind]: (of.get(who)?.[kind] ?? 0) + (size[kind] * n) / all });
  }
}
const line = (who, { brotli, gzip }) => console.log(`${(brotli / 1024).toFixed(1).padStart(6)} KB brotli ${(gzip / 1024).toFixed(1).padStart(6)} KB gzip  ${who}`);
line("the shell", total);
for (const [who, size] of [...of].sort((a, b) => b[1].brotli - a[1].brotli)) line(who, size);
