/**
 * What the page can say of a new password before it is sent. Only the length is
 * a hard fact here: the server decides the others, and knows the lists of common
 * and leaked passwords besides.
 */
export interface PasswordRules {
  /** Shortest allowed, in characters as one counts them. */
  min: number;
  /** Words that others know of its owner: login, names, agency. */
  context: string[];
}

export type RuleName = "length" | "pattern" | "context";

/** Which rules a password seems to keep. */
export function judge(password: string, { min, context }: PasswordRules): Record<RuleName, boolean> {
  const characters = [...password];
  let rest = flat(password);
  for (const word of context.flatMap(tellTales).sort((a, b) => b.length - a.length)) rest = rest.replaceAll(word, "");
  return {
    length: characters.length >= min,
    pattern: new Set(characters).size >= 5,
    context: rest.length >= 5,
  };
}

/** Lower case, without marks and what stands between words. */
function flat(words: string): string {
  return words.normalize("NFD").replaceAll(/\p{M}/gu, "").replaceAll(/[đĐ]/g, "d").toLowerCase().replaceAll(/[\s\p{P}]/gu, "");
}

/** A login or name, and the parts of it. */
function tellTales(word: string): string[] {
  return [word, ...word.split(/[@\s.]+/)].map(flat).filter((p) => p.length >= 2);
}
