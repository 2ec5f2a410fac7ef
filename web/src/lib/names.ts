/** A person as the directory shows one to others. */
export interface PersonView {
  id: string;
  /** Họ đệm tên. */
  name: string;
  /** Tên: what Vietnamese people are addressed by. */
  given_name: string;
  title?: string;
  unit?: string;
  agency_id?: string;
  agency_name?: string;
  /** "UBND TP Hà Nội"; absent, it is shortened from the name. */
  agency_short?: string;
  address?: string;
  /** Hash of the picture; empty or absent: none. */
  photo?: string;
}

const collator = new Intl.Collator("vi", { sensitivity: "variant" });

/** Splits "Nguyễn Văn An" into họ, đệm and tên. */
export function nameParts(name: string): { family: string; middle: string; given: string } {
  const words = name.normalize("NFC").trim().split(/\s+/);
  return {
    given: words.length > 0 ? (words[words.length - 1] ?? "") : "",
    family: words.length > 1 ? (words[0] ?? "") : "",
    middle: words.slice(1, -1).join(" "),
  };
}

/** Orders people as Vietnamese lists do: by tên, then đệm, then họ. */
export function comparePeople(a: { name: string }, b: { name: string }): number {
  const x = nameParts(a.name);
  const y = nameParts(b.name);
  return (
    collator.compare(x.given, y.given) ||
    collator.compare(x.middle, y.middle) ||
    collator.compare(x.family, y.family)
  );
}

/** How one addresses a person: title and tên, "Chuyên viên An". */
export function addressAs(person: Pick<PersonView, "given_name" | "name" | "title">): string {
  const given = person.given_name || nameParts(person.name).given;
  return person.title ? `${person.title} ${given}` : given;
}

/** Two letters for a seal that has no picture: "Bộ Nội vụ" gives "NV". */
export function initials(name: string): string {
  const words = name
    .normalize("NFC")
    .split(/\s+/)
    .filter((w) => /^\p{L}/u.test(w));
  return words
    .slice(-2)
    .map((w) => w.charAt(0).toLocaleUpperCase("vi"))
    .join("");
}

const shortForms: [RegExp, string][] = [
  [/^Ủy ban nhân dân\s+/iu, "UBND "],
  [/^Uỷ ban nhân dân\s+/iu, "UBND "],
  [/^Hội đồng nhân dân\s+/iu, "HĐND "],
];

/** The short name of an agency, as officials abbreviate it in lists. */
export function shortAgency(name: string): string {
  let short = name;
  for (const [long, abbreviation] of shortForms) short = short.replace(long, abbreviation);
  return short.replace(/\bthành phố\s+/iu, "TP ");
}
