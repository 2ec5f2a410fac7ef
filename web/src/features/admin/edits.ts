import { useDraft } from "../../lib/draft";

/**
 * What somebody changes of a thing that is saved: the edits alone are kept, through reloads and expired sessions,
 * so that what others changed meanwhile shows. Use a key of its own for each thing, and as the component's key too.
 */
export function useEdits<T extends object>(key: string, saved: T) {
  const [edits, setEdits, clear] = useDraft<Partial<T>>(`admin.${key}`, {});
  const fields = (Object.keys(edits) as (keyof T)[]).filter((k) => JSON.stringify(edits[k]) !== JSON.stringify(saved[k]));
  const patch = Object.fromEntries(fields.map((k) => [k, edits[k]])) as Partial<T>;
  return {
    value: { ...saved, ...edits },
    /** The changed fields alone. */
    patch,
    changed: fields.length > 0,
    set: (change: Partial<T>) => setEdits({ ...edits, ...change }),
    clear,
  };
}

/** Lines or words between commas, each once, none empty: mail domains, aliases. */
export function lines(text: string): string[] {
  return [...new Set(text.split(/[\n,;]+/).map((l) => l.trim()).filter(Boolean))];
}
