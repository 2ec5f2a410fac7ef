import i18next, { type BackendModule, type i18n as I18n } from "i18next";
import { initReactI18next, useTranslation } from "react-i18next";
import type { Lang } from "./dates";

/**
 * Texts: Vietnamese first, English beside it. A namespace is a folder's name
 * ("chat" is features/chat/locales/{vi,en}.json) and is loaded when a component
 * first asks for it.
 */
export const languages: readonly Lang[] = ["vi", "en"];
const storageKey = "commsd.lang";

export type TextLoader = (lang: Lang, namespace: string) => Promise<Record<string, unknown>>;

/** The one instance; a page's component uses useTranslation instead. */
export const i18n: I18n = i18next;

export function isLang(value: unknown): value is Lang {
  return value === "vi" || value === "en";
}

/** The language of last time, else Vietnamese: the installation's own. */
export function initialLang(): Lang {
  const stored = localStorage.getItem(storageKey);
  return isLang(stored) ? stored : "vi";
}

/** Makes texts ready; ns are needed before the first paint. */
export async function startTexts(load: TextLoader, lang: Lang, ns: string[]): Promise<void> {
  const backend: BackendModule = {
    type: "backend",
    init() {},
    read(language, namespace, done) {
      if (!isLang(language)) return done(new Error(`no language ${language}`), null);
      load(language, namespace).then((texts) => done(null, texts as never), (err: unknown) => done(err as Error, true)); // true: tried again, a few times, before words are missing for good
    },
  };
  await i18n
    .use(backend)
    .use(initReactI18next)
    .init({
      lng: lang,
      fallbackLng: false,
      supportedLngs: [...languages],
      ns,
      defaultNS: ns[0] ?? "app",
      interpolation: { escapeValue: false }, // React escapes
      react: { useSuspense: true },
    });
  document.documentElement.lang = lang;
}

export async function setLang(lang: Lang): Promise<void> {
  localStorage.setItem(storageKey, lang);
  await i18n.changeLanguage(lang);
  document.documentElement.lang = lang;
}

/** The language now shown; a component that calls this follows the switch. */
export function useLang(): Lang {
  const { i18n: instance } = useTranslation();
  return isLang(instance.language) ? instance.language : "vi";
}
