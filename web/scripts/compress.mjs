// After a build: lays a brotli form (RFC 7932) beside each file that gets smaller
// by it, for embed.go to send to browsers that take it. Gzip the server makes
// itself; Go has no brotli, and at this quality it is too slow to make on demand.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";

const assets = path.join(path.dirname(fileURLToPath(import.meta.url)), "..", "dist", "assets");
for (const name of readdirSync(assets)) {
  if (!/\.(js|css|svg)$/.test(name)) continue;
  const body = readFileSync(path.join(assets, name));
  if (body.length < 1024) continue; // as in file.go: a header costs more than it saves
  const small = brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: body.length } });
  if (small.length < body.length) writeFileSync(path.join(assets, `${name}.br`), small);
}
