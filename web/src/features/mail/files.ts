import { useCallback, useEffect, useReducer, useRef } from "react";
import { codeOf, type ErrorCode } from "../../api/error";
import { newId } from "./letter";
import { sendUp, type FileView } from "./upload";

/** A file of a letter on its way up, there, or not. */
export type FileItem = { key: string; name: string; size: number } & (
  | { state: "up"; part: number; stop: () => void }
  | { state: "done"; file: FileView }
  | { state: "failed"; code: ErrorCode; again?: () => void }
);

type Event = { type: "put"; item: FileItem } | { type: "drop"; key: string };

/** A put of a new key adds, of a known one replaces, so that the order stays. */
function step(items: FileItem[], e: Event): FileItem[] {
  switch (e.type) {
    case "drop":
      return items.filter((i) => i.key !== e.key);
    case "put":
      return items.some((i) => i.key === e.item.key) ? items.map((i) => (i.key === e.item.key ? e.item : i)) : [...items, e.item];
  }
}

const done = (file: FileView): FileItem => ({ key: file.id, name: file.name, size: file.size, state: "done", file });

/** Files that are there, in their order. */
export function doneFiles(items: FileItem[]): FileView[] {
  return items.flatMap((i) => (i.state === "done" ? [i.file] : []));
}

/** The files of a letter: sent up as they come, within what one message may hold. */
export function useFiles(start: FileView[], limit: number | undefined) {
  const [items, event] = useReducer(step, start, (files) => files.map(done));
  const removed = useRef(new Set<string>());

  /** Brings one file here by get; a failure can be tried again. */
  const bring = useCallback((key: string, name: string, size: number, get: (onPart: (part: number) => void, signal: AbortSignal) => Promise<FileView>) => {
    const attempt = () => {
      const abort = new AbortController();
      const stop = () => abort.abort();
      event({ type: "put", item: { key, name, size, state: "up", part: 0, stop } });
      get((part) => !removed.current.has(key) && event({ type: "put", item: { key, name, size, state: "up", part, stop } }), abort.signal).then(
        (file) => !removed.current.has(key) && event({ type: "put", item: { ...done(file), key } }),
        (err: unknown) => {
          if (removed.current.has(key)) return;
          const code = codeOf(err);
          event({ type: "put", item: { key, name, size, state: "failed", code, ...(code === "too_large" ? {} : { again: attempt }) } });
        },
      );
    };
    attempt();
  }, []);

  const add = useCallback(
    (files: File[]) => {
      let total = items.reduce((n, i) => n + (i.state === "failed" ? 0 : i.size), 0);
      for (const file of files) {
        const key = newId();
        if (limit !== undefined && total + file.size > limit) {
          event({ type: "put", item: { key, name: file.name, size: file.size, state: "failed", code: "too_large" } });
          continue;
        }
        total += file.size;
        bring(key, file.name, file.size, (onPart, signal) => sendUp(file, onPart, signal));
      }
    },
    [items, limit, bring],
  );

  const remove = useCallback((item: FileItem) => {
    removed.current.add(item.key);
    if (item.state === "up") item.stop();
    event({ type: "drop", key: item.key });
  }, []);

  // What is under way is lost with the page: the browser asks before.
  const busy = items.some((i) => i.state === "up");
  useEffect(() => {
    if (!busy) return;
    const ask = (e: BeforeUnloadEvent) => e.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [busy]);

  return { items, add, bring, remove, busy };
}
