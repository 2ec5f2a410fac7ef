import { useCallback, useState } from "react";

const prefix = "commsd.draft.";

/** What this tab kept under a key; undefined when nothing. */
export function readDraft<T>(key: string): T | undefined {
  try {
    const stored = sessionStorage.getItem(prefix + key);
    return stored === null ? undefined : (JSON.parse(stored) as T);
  } catch {
    return undefined; // storage switched off, or of an older version
  }
}

/** Keeps what somebody typed in this tab, through reloads and expired sessions; undefined forgets it. */
export function keepDraft(key: string, value: unknown): void {
  try {
    if (value === undefined) sessionStorage.removeItem(prefix + key);
    else sessionStorage.setItem(prefix + key, JSON.stringify(value));
  } catch {
    // full or switched off: the page still works, without the safety
  }
}

/**
 * State that outlives a reload and an expired session in this tab: what
 * somebody typed. Never for passwords. clear() when it has been sent.
 */
export function useDraft<T>(key: string, initial: T): [value: T, set: (value: T) => void, clear: () => void] {
  const [value, setValue] = useState<T>(() => {
    const kept = readDraft<T>(key);
    return kept === undefined ? initial : kept;
  });
  const set = useCallback(
    (next: T) => {
      setValue(next);
      keepDraft(key, next);
    },
    [key],
  );
  const clear = useCallback(() => {
    setValue(initial);
    keepDraft(key, undefined);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- initial is a literal at each call site
  }, [key]);
  return [value, set, clear];
}

/** Forgets all drafts of this tab: at sign-out. */
export function clearDrafts(): void {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(prefix)) sessionStorage.removeItem(key);
}
