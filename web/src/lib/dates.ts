/**
 * Dates as officials write them: dd/MM/yyyy, 24 hours, the week from Monday, in
 * Viet Nam's time whatever the machine's zone is. Relative words only within
 * the day.
 */

export const timeZone = "Asia/Ho_Chi_Minh";
export type Lang = "vi" | "en";
type When = Date | string | number;

const parts = new Intl.DateTimeFormat("en-GB", {
  timeZone,
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

function fields(at: When): Record<"day" | "month" | "year" | "hour" | "minute", string> {
  const out = { day: "", month: "", year: "", hour: "", minute: "" };
  for (const p of parts.formatToParts(new Date(at))) {
    if (p.type in out) out[p.type as keyof typeof out] = p.value;
  }
  return out;
}

/** 24/11/2026 */
export function formatDate(at: When): string {
  const f = fields(at);
  return `${f.day}/${f.month}/${f.year}`;
}

/** 07:05 */
export function formatTime(at: When): string {
  const f = fields(at);
  return `${f.hour}:${f.minute}`;
}

/** 24/11/2026 07:05 */
export function formatDateTime(at: When): string {
  return `${formatDate(at)} ${formatTime(at)}`;
}

/** The calendar day in Viet Nam, "2026-11-24": equal for two moments of one day. */
export function dayOf(at: When): string {
  const f = fields(at);
  return `${f.year}-${f.month}-${f.day}`;
}

/**
 * For lists: "vừa xong" and "5 phút trước" within the hour, the time within the
 * day, the date and time before.
 */
export function formatWhen(at: When, lang: Lang, now: When = Date.now()): string {
  const ms = new Date(now).getTime() - new Date(at).getTime();
  const sameDay = dayOf(at) === dayOf(now);
  if (sameDay && ms >= 0 && ms < 60_000) return lang === "vi" ? "vừa xong" : "just now";
  if (sameDay && ms >= 0 && ms < 3_600_000) {
    return new Intl.RelativeTimeFormat(lang, { numeric: "always" }).format(-Math.floor(ms / 60_000), "minute");
  }
  return sameDay ? formatTime(at) : formatDateTime(at);
}

/** "Thứ Ba, ngày 24 tháng 11 năm 2026", or "Tuesday, 24 November 2026". */
export function formatLongDate(at: When, lang: Lang): string {
  if (lang === "en") {
    return new Intl.DateTimeFormat("en-GB", { timeZone, weekday: "long", day: "numeric", month: "long", year: "numeric" })
      .format(new Date(at));
  }
  const weekdays = ["Chủ nhật", "Thứ Hai", "Thứ Ba", "Thứ Tư", "Thứ Năm", "Thứ Sáu", "Thứ Bảy"];
  const f = fields(at);
  const weekday = weekdays[new Date(`${dayOf(at)}T00:00:00Z`).getUTCDay()] ?? "";
  return `${weekday}, ngày ${Number(f.day)} tháng ${Number(f.month)} năm ${f.year}`;
}

/** The part of the day one greets by. */
export function partOfDay(at: When): "morning" | "afternoon" | "evening" {
  const hour = Number(fields(at).hour);
  if (hour >= 4 && hour < 12) return "morning";
  return hour >= 12 && hour < 18 ? "afternoon" : "evening";
}

/** The moment of a wall-clock time in Viet Nam: ("2026-11-24", "09:30"). There is no summer time there. */
export function fromWallClock(day: string, time: string): Date {
  return new Date(`${day}T${time}:00+07:00`);
}
