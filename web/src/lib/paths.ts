/**
 * Every page's place, so that features link to each other without importing
 * each other. A place spreads into a link: <Link {...paths.person(id)}>, or
 * goes to useNavigate's function.
 */
export interface Place {
  to: string;
  search?: Record<string, string>;
}

function search(fields: Record<string, string | undefined>): Pick<Place, "search"> {
  const kept = Object.entries(fields).filter((e): e is [string, string] => !!e[1]);
  return kept.length > 0 ? { search: Object.fromEntries(kept) } : {};
}

export const paths = {
  today: (): Place => ({ to: "/" }),
  signIn: (f: { to?: string; ended?: string; step?: string } = {}): Place => ({ to: "/sign-in", ...search(f) }),

  /** One's own account: the profile, or "security", "sessions", "delegations". */
  account: (section?: string): Place => ({ to: section ? `/account/${encodeURIComponent(section)}` : "/account" }),

  meetings: (): Place => ({ to: "/meetings" }),
  /** The meetings page with a new meeting begun, this person invited. */
  meetWith: (person: string): Place => ({ to: "/meetings", ...search({ with: person }) }),
  meeting: (id: string): Place => ({ to: `/meetings/${encodeURIComponent(id)}` }),

  chat: (): Place => ({ to: "/chat" }),
  /** The direct conversation with a person, made when first written to. */
  chatWith: (person: string): Place => ({ to: "/chat", ...search({ with: person }) }),
  conversation: (id: string): Place => ({ to: `/chat/${encodeURIComponent(id)}` }),

  mail: (): Place => ({ to: "/mail" }),
  mailbox: (mailbox: string): Place => ({ to: `/mail/${encodeURIComponent(mailbox)}` }),
  message: (mailbox: string, message: string): Place => ({
    to: `/mail/${encodeURIComponent(mailbox)}/${encodeURIComponent(message)}`,
  }),
  /** A letter to write: a draft to go on with, or a new one, perhaps to an address or about a message. */
  compose: ({ draft, ...f }: { draft?: string; to?: string; reply?: string; all?: string; forward?: string } = {}): Place => ({
    to: draft ? `/mail/compose/${encodeURIComponent(draft)}` : "/mail/compose",
    ...search(f),
  }),

  /** The directory, where these words are searched, or at the people of an agency, or of one of its units or groups. */
  directory: (f: { q?: string; agency?: string; unit?: string; group?: string } = {}): Place => ({ to: "/directory", ...search(f) }),
  /** A section of the administration ("people"), a thing in it, and the agency that is administered. */
  admin: (section?: string, id?: string, f: { agency?: string; unit?: string; q?: string } = {}): Place => ({
    to: `/admin${[section, id].filter((p) => p !== undefined).map((p) => `/${encodeURIComponent(p)}`).join("")}`,
    ...search(f),
  }),
  /** The audit log, with what is asked of it. */
  audit: (f: Record<string, string | undefined> = {}): Place => ({ to: "/audit", ...search(f) }),

  person: (id: string): Place => ({ to: `/directory/${encodeURIComponent(id)}` }),
};

/** The address bar's text of a place. */
export function hrefOf(place: Place): string {
  const query = new URLSearchParams(place.search).toString();
  return query ? `${place.to}?${query}` : place.to;
}

/** Keeps a place to return to within this site: "//evil.example" is none. */
export function safeReturn(to: unknown): string {
  return typeof to === "string" && /^\/(?![/\\])/.test(to) && !to.startsWith("/sign-in") ? to : "/";
}
