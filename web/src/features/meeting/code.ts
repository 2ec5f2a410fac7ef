/**
 * The id in what somebody pasted: a link of any host, an id, or an id read
 * aloud and typed with spaces or none. Null for anything else; the server says
 * whether there is such a meeting.
 */
export function meetingIdIn(text: string): string | null {
  const trimmed = text.trim();
  const linked = /\/meetings\/([^/?#\s]+)/.exec(trimmed)?.[1];
  const bare = (linked ?? trimmed).toLowerCase().replace(/[\s-]/g, "");
  if (!/^[0-9a-hi-z]{20}$/.test(bare) || bare.includes("u")) return null;
  return bare.match(/.{4}/g)?.join("-") ?? null;
}
