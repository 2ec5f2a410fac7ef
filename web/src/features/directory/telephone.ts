/**
 * The link that dials a number as people write one: "024.3976 4116 - máy lẻ 205" is tel:02439764116;ext=205. Of
 * several, the first; none, when it holds no number.
 */
export function telephone(written = ""): string {
  const first = written.split(/[/,;]/)[0] ?? "";
  const [, number = "", extension = ""] = /^(.*?)(?:(?:máy lẻ|lẻ|nhánh|ext\.?|x)\s*(\d{1,6})\D*)?$/iu.exec(first.normalize("NFC")) ?? [];
  const digits = number.replace(/[^\d+]/g, "");
  return digits.length >= 3 ? `tel:${digits}${extension && `;ext=${extension}`}` : "";
}
