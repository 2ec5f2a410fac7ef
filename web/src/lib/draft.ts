import { useCallback, useState } from "react";

const prefix = "commsd.draft.";

/**
 * State that outlives a reload and an expired session in this tab: what
 * somebody typed. Never for passwords. clear() when it has been sent.
 */
export function useDraft<T>(key: string, initial: T): [value: T, set: (value: T) => void, clear: () => void] {
  const [value, setValue] = useState<T>(() => {
    try {
      const stored = sessionStorage.getItem(prefix + key);
      return stored === null ? initial : (JSON.parse(stored) as T);
    } catch {
      return initial; // storage switched off, or of an older version
    }
  });
  const set = useCallback(
    (next: T) => {
      setValue(next);
      try {
        sessionStorage.setItem(prefix + key, JSON.stringify(next));
      } catch {
        // full or switched off: the page still works, without the safety
      }
    },
    [key],
  );
  const clear = useCallback(() => {
    setValue(initial);
    sessionStorage.removeItem(prefix + key);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- initial is a literal at each call site
  }, [key]);
  return [value, set, clear];
}

/** Forgets all drafts of this tab: at sign-out. */
export function clearDrafts(): void {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(prefix)) sessionStorage.removeItem(key);
}
