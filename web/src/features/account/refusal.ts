import { ApiError } from "../../api/error";

/** Why the server took no password; each has words of its own. */
const reasons = ["too_short", "too_long", "common", "context", "pattern", "same"] as const;
export type Refusal = (typeof reasons)[number] | "other";

/** The reason by which a password was refused; null for any other failure. */
export function refusalOf(err: unknown): Refusal | null {
  if (!(err instanceof ApiError) || err.code !== "invalid") return null;
  return reasons.find((r) => err.fields.some((f) => f.message === r)) ?? "other";
}

/** The shortest that the server takes, where that was the reason. */
export function minOf(err: unknown): number | undefined {
  if (!(err instanceof ApiError)) return undefined;
  const value = err.fields.find((f) => f.message === "too_short")?.value;
  return typeof value === "number" ? value : undefined;
}
