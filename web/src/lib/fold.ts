/**
 * Folding for search as the server does it: NFC, đ/Đ (and the look-alike Ð) to
 * d, marks away, lower case. "Đức" folds to "duc".
 */
export function fold(text: string): string {
  return text
    .normalize("NFC")
    .replace(/[đĐÐð]/g, "d")
    .normalize("NFD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .normalize("NFC");
}

/** Tells whether every word of the query begins a word of one of the texts. */
export function matches(query: string, ...texts: (string | undefined)[]): boolean {
  const words = texts.flatMap((t) => fold(t ?? "").split(/[\s.,@()/-]+/));
  return fold(query)
    .split(/\s+/)
    .filter(Boolean)
    .every((q) => words.some((w) => w.startsWith(q)));
}
