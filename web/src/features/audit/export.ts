import { raw } from "../../api/client";
import { ApiError } from "../../api/error";
import { query, type Question } from "./question";

/** A finished export: a file to keep, and how many events are in it. */
export interface Exported {
  name: string;
  file: Blob;
  events: number;
}

/**
 * Fetches an export and tells how far it is. Only a whole one is returned: its
 * last line says how many events it has.
 */
export async function fetchExport(question: Question, signal: AbortSignal, onProgress: (events: number) => void): Promise<Exported> {
  const text = new URLSearchParams(query(question) as Record<string, string>).toString();
  const response = await raw("GET", `/api/v1/audit/export${text ? `?${text}` : ""}`, { signal });
  const reader = response.body?.getReader();
  if (!reader) throw new ApiError("internal", 0, "the answer has no body");
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let lines = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    for (const byte of value) if (byte === 10) lines++;
    onProgress(Math.max(0, lines - 1)); // the first line is the header
  }
  const file = new Blob(parts, { type: "application/jsonl" });
  const tail = (await file.slice(Math.max(0, file.size - 200)).text()).trimEnd();
  const end = JSON.parse(tail.slice(tail.lastIndexOf("\n") + 1)) as { type?: string; events?: number };
  if (end.type !== "end" || typeof end.events !== "number" || end.events !== lines - 2) throw new ApiError("internal", 0, "the export was cut off");
  const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1] ?? "audit.jsonl";
  return { name, file, events: end.events };
}

/** Hands a file to the browser to keep. */
export function save({ name, file }: Exported): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
