import type { Lang } from "./dates";

const units = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;

/** A size as people read it: "340 kB", "1,2 MB". */
export function formatBytes(bytes: number, lang: Lang): string {
  let size = bytes;
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  return new Intl.NumberFormat(lang, {
    style: "unit", unit: units[unit], unitDisplay: "short", maximumFractionDigits: unit > 1 && size < 10 ? 1 : 0,
  }).format(size);
}
