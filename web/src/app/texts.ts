import type { TextLoader } from "../lib/i18n";

const files = import.meta.glob<Record<string, unknown>>(
  ["./locales/*.json", "../ui/locales/*.json", "../features/*/locales/*.json"],
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
  const load = files[path];
  if (!load) throw new Error(`no texts at ${path}`);
  return load();
};
