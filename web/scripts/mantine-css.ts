// A Vite plugin: each Mantine component brings its own stylesheet into the chunk
// it is in, instead of all hundred standing before the first paint. Whichever
// chunk comes first, the order in which they win stays Mantine's own: each sheet
// is a cascade layer, and the layers are named in that order at the start. What
// is in no layer, our CSS modules, wins over all of them. The list of layers is an
// inline sheet in the head of index.html, before any file can name one.
//
// main.tsx imports "virtual:mantine.css", which is what every page needs. The
// development server bundles packages beforehand, so there it is simply all of it.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import type { Plugin } from "vite";

const sheets = path.dirname(createRequire(import.meta.url).resolve("@mantine/core/styles/global.css"));
const always = ["baseline", "default-css-variables", "global"];

/** The sheets' names in the order of the package's whole stylesheet. */
function inOrder(whole: string, sheet: Record<string, string>): string[] {
  return Object.keys(sheet)
    .map((name) => ({ name, at: whole.indexOf((sheet[name] ?? "").trim().split("\n").slice(0, 3).join("\n")) }))
    .sort((a, b) => a.at - b.at)
    .map(({ name, at }) => {
      if (at < 0) throw new Error(`the whole stylesheet of Mantine does not hold ${name}.css as it stands: mend scripts/mantine-css.ts`);
      return name;
    });
}

const read = (name: string) => readFileSync(path.join(sheets, `${name}.css`), "utf8");
const layer = (name: string) => `@layer mantine.${name} {\n${read(name)}}\n`;

/** The statement that names the layers, the weakest first. */
function statement(): string {
  const names = readdirSync(sheets).filter((f) => f.endsWith(".css") && !f.endsWith(".layer.css")).map((f) => f.slice(0, -4));
  const order = inOrder(readFileSync(path.join(sheets, "..", "styles.css"), "utf8"), Object.fromEntries(names.map((n) => [n, read(n)])));
  return `@layer base,${order.map((n) => `mantine.${n}`).join(",")};`;
}

export function mantineCSS(): Plugin {
  let building = false;
  return {
    name: "mantine-css",
    enforce: "pre",
    configResolved(config) {
      building = config.command === "build";
    },
    resolveId: (id) => (id === "virtual:mantine.css" ? path.join(sheets, "virtual-mantine.css") : undefined),
    load(id) {
      if (id === path.join(sheets, "virtual-mantine.css")) {
        return building ? always.map(layer).join("") : readFileSync(path.join(sheets, "..", "styles.layer.css"), "utf8");
      }
      const [file = "", query] = id.split("?");
      return query === "layer" && path.dirname(file) === sheets ? layer(path.basename(file, ".css")) : undefined;
    },
    transformIndexHtml(html) {
      const sheet = building ? statement() : "@layer base,mantine;";
      return html.replace("<title>", `<style nonce="__CSP_NONCE__">${sheet}</style>\n    <title>`);
    },
    transform(code, id) {
      const component = /@mantine[\\/]core[\\/]esm[\\/].*[\\/](\w+)\.module\.mjs$/.exec(id)?.[1];
      return building && component ? { code: `import ${JSON.stringify(path.join(sheets, `${component}.css?layer`))};\n${code}`, map: null } : undefined;
    },
  };
}
