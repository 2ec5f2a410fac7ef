import type { TextLoader } from "../lib/i18n";

// What the first paint says in the first language comes with the shell; all else when asked for.
const first = import.meta.glob<Record<string, unknown>>(["./locales/vi.json", "../ui/locales/vi.json"], { import: "default", eager: true });
const files = import.meta.glob<Record<string, unknown>>(
  ["./locales/en.json", "../ui/locales/en.json", "../features/*/locales/*.json"],
  { import: "default" },
);

/** Loads a namespace's texts: the folder's name is the namespace. */
export const loadTexts: TextLoader = async (lang, namespace) => {
  const path =
    namespace === "app"
      ? `./locales/${lang}.json`
      : namespace === "ui"
        ? `../ui/locales/${lang}.json`
        : `../features/${namespace}/locales/${lang}.json`;
  if (first[path]) return first[path];
  const load = files[path];
  if (!load) throw new Error(`no texts at ${path}`);
  return load();
};
