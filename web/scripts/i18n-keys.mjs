// Fails on a text that is used but missing in a language, that one language has
// and the other lacks, or that nobody uses. Namespaces are folders: app, ui, and
// each of features/*. It reads the sources with TypeScript's parser:
//
//   t("a.b")            the key a.b of the file's own namespace, which is that
//                       of its useTranslation("ns") or else of its folder
//   t("ns:a.b")         the key of another namespace
//   t(`a.${x}.b`)       every key that fits; at least one must
//   t(variable)         not followed: name the keys in a comment, i18n: a.b, a.c
import { readdirSync, readFileSync, existsSync, statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const pluralSuffix = /_(zero|one|two|few|many|other)$/;

/** {"a":{"b":"…"}} to Map("a.b" → "…"). */
export function flatten(texts, prefix = "") {
  const out = new Map();
  for (const [key, value] of Object.entries(texts)) {
    if (typeof value === "string") out.set(prefix + key, value);
    else for (const [k, v] of flatten(value, `${prefix}${key}.`)) out.set(k, v);
  }
  return out;
}

const variables = (text) => [...text.matchAll(/\{\{\s*(\w+)/g)].map((m) => m[1]).sort().join();
const escape = (s) => s.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** The uses in one file: { ns, exact } or { ns, pattern }. */
export function usesIn(name, source, folderNamespace) {
  const file = ts.createSourceFile(name, source, ts.ScriptTarget.Latest, true, name.endsWith("x") ? ts.ScriptKind.TSX : ts.ScriptKind.TS);
  const uses = [];
  let own = folderNamespace;
  const add = (node) => {
    if (!node) return;
    if (ts.isParenthesizedExpression(node)) return add(node.expression);
    if (ts.isConditionalExpression(node)) return add(node.whenTrue), add(node.whenFalse);
    if (ts.isStringLiteralLike(node)) return uses.push(split(node.text, (k) => ({ exact: k })));
    if (ts.isTemplateExpression(node)) {
      const text = node.head.text + node.templateSpans.map((s) => "\u0000" + s.literal.text).join("");
      return uses.push(split(text, (k) => ({ pattern: new RegExp(`^${k.split("\u0000").map(escape).join("[\\w.-]+")}$`), shown: k.replaceAll("\u0000", "*") })));
    }
  };
  const split = (text, make) => {
    const at = text.indexOf(":");
    return at > 0 && /^\w+$/.test(text.slice(0, at)) ? { ns: text.slice(0, at), ...make(text.slice(at + 1)) } : { ns: null, ...make(text) };
  };
  const visit = (node) => {
    if (ts.isCallExpression(node)) {
      const callee = ts.isPropertyAccessExpression(node.expression) ? node.expression.name.text : node.expression.getText(file);
      const first = node.arguments[0];
      if (callee === "useTranslation" && first && ts.isStringLiteralLike(first)) own = first.text;
      else if (callee === "getFixedT" && node.arguments[1] && ts.isStringLiteralLike(node.arguments[1])) own = node.arguments[1].text;
      else if (callee === "t") add(first);
    }
    if (ts.isJsxAttribute(node) && node.name.getText(file) === "i18nKey" && node.initializer) {
      add(ts.isJsxExpression(node.initializer) ? node.initializer.expression : node.initializer);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  for (const m of source.matchAll(/\bi18n: ([\w.:*, -]+)/g)) {
    for (const key of m[1].split(",").map((k) => k.trim()).filter(Boolean)) {
      uses.push(split(key, (k) => (k.includes("*") ? { pattern: new RegExp(`^${k.split("*").map(escape).join("[\\w.-]+")}$`), shown: k } : { exact: k })));
    }
  }
  return uses.map((u) => ({ ...u, ns: u.ns ?? own, file: name }));
}

/** texts: { ns: { vi: {...}, en: {...} } }; returns what is wrong, a line each. */
export function check(texts, uses) {
  const wrong = [];
  const used = new Map();
  for (const [ns, langs] of Object.entries(texts)) {
    used.set(ns, new Set());
    const [vi, en] = [flatten(langs.vi ?? {}), flatten(langs.en ?? {})];
    const bases = (m) => new Map([...m].map(([k, v]) => [k.replace(pluralSuffix, ""), v]));
    const [viBases, enBases] = [bases(vi), bases(en)];
    for (const k of viBases.keys()) if (!enBases.has(k)) wrong.push(`${ns}: "${k}" is missing in en.json`);
    for (const k of enBases.keys()) if (!viBases.has(k)) wrong.push(`${ns}: "${k}" is missing in vi.json`);
    for (const [k, v] of viBases) {
      const other = enBases.get(k);
      if (other !== undefined && variables(v) !== variables(other)) wrong.push(`${ns}: "${k}" has other {{variables}} in vi.json than in en.json`);
    }
    for (const [k, v] of [...vi, ...en]) if (v.trim() === "") wrong.push(`${ns}: "${k}" is empty`);
  }
  for (const u of uses) {
    const langs = texts[u.ns];
    if (!langs && u.ns === "lib") continue; // passes namespaces on, has no texts of its own
    if (!langs) {
      wrong.push(`${u.file}: namespace "${u.ns}" has no texts`);
      continue;
    }
    const keys = [...flatten(langs.vi ?? {}).keys()].map((k) => k.replace(pluralSuffix, ""));
    const hits = u.exact !== undefined ? keys.filter((k) => k === u.exact) : keys.filter((k) => u.pattern.test(k));
    if (hits.length === 0) wrong.push(`${u.file}: "${u.ns}:${u.exact ?? u.shown}" is in no text`);
    for (const k of hits) used.get(u.ns).add(k);
  }
  for (const [ns, keys] of used) {
    const all = new Set([...flatten(texts[ns].vi ?? {}).keys()].map((k) => k.replace(pluralSuffix, "")));
    for (const k of all) if (!keys.has(k)) wrong.push(`${ns}: "${k}" is used nowhere`);
  }
  return wrong;
}

function read(src) {
  const texts = {};
  const uses = [];
  const folders = [["app", "app"], ["ui", "ui"], ...readdirSync(path.join(src, "features")).map((f) => [f, `features/${f}`])];
  for (const [ns, folder] of folders) {
    const locales = path.join(src, folder, "locales");
    if (!existsSync(locales)) continue;
    texts[ns] = {};
    for (const lang of ["vi", "en"]) {
      const name = path.join(locales, `${lang}.json`);
      texts[ns][lang] = existsSync(name) ? JSON.parse(readFileSync(name, "utf8")) : {};
    }
  }
  const walk = (dir) => {
    for (const entry of readdirSync(dir)) {
      const name = path.join(dir, entry);
      if (statSync(name).isDirectory()) walk(name);
      else if (/\.tsx?$/.test(entry) && !/\.test\.tsx?$|\.d\.ts$/.test(entry)) {
        const [top, second] = path.relative(src, name).split(path.sep);
        uses.push(...usesIn(path.relative(src, name), readFileSync(name, "utf8"), top === "features" ? second : top));
      }
    }
  };
  walk(src);
  return { texts, uses };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { texts, uses } = read(path.join(path.dirname(fileURLToPath(import.meta.url)), "..", "src"));
  const wrong = check(texts, uses);
  for (const line of wrong) console.error(line);
  if (wrong.length > 0) process.exit(1);
}
