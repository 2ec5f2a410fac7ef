/** A piece of a message: words, or a link. */
export type Piece = { text: string } | { link: string };

const url = /\bhttps?:\/\/[^\s<>"]+/gi;

/** Finds the links in a message; full stops and brackets that end a sentence are not theirs. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(url)) {
    let link = match[0].replace(/[.,;:!?…'”]+$/, "");
    if (link.endsWith(")") && !link.includes("(")) link = link.slice(0, -1);
    if (match.index > end) found.push({ text: text.slice(end, match.index) });
    found.push({ link });
    end = match.index + link.length;
  }
  if (end < text.length) found.push({ text: text.slice(end) });
  return found;
}

/** Bytes as the server counts them. */
export function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

/**
 * Tells whether a key press means "send": Enter, but not while an input method
 * composes (Telex and VNI take Enter to end a word), and not with Shift.
 */
export function meansSend(e: { key: string; shiftKey: boolean; ctrlKey: boolean; altKey: boolean; metaKey: boolean; keyCode: number; isComposing: boolean }): boolean {
  // Safari ends composition before the key's event, which then bears 229.
  return e.key === "Enter" && !e.shiftKey && !e.altKey && !e.isComposing && e.keyCode !== 229;
}
