const prefix = "commsd.kept.";

/**
 * Small things of one person that must outlive reloads, closed tabs and expired
 * sessions, each under a key of its own, so that two tabs never overwrite each
 * other's: messages that are not sent yet. Where the browser keeps nothing, they
 * live as long as the page.
 */
export class Kept<T> {
  private readonly prefix: string;
  private readonly memory = new Map<string, T>();

  constructor(owner: string, name: string) {
    this.prefix = `${prefix}${owner}.${name}.`;
    for (const key of keysWith(this.prefix)) {
      const value = read<T>(key);
      if (value !== undefined) this.memory.set(key.slice(this.prefix.length), value);
    }
  }

  /** All of them, by key. */
  all(): ReadonlyMap<string, T> {
    return this.memory;
  }

  set(id: string, value: T): void {
    this.memory.set(id, value);
    try {
      localStorage.setItem(this.prefix + id, JSON.stringify(value));
    } catch {
      // full or switched off: kept by the page alone
    }
  }

  delete(id: string): void {
    this.memory.delete(id);
    localStorage.removeItem(this.prefix + id);
  }

  /** Calls fn when another tab has added, changed or removed one; returns the way to stop. */
  onOtherTab(fn: (id: string) => void): () => void {
    const heard = (e: StorageEvent) => {
      if (!e.key?.startsWith(this.prefix)) return;
      const id = e.key.slice(this.prefix.length);
      const value = e.newValue === null ? undefined : read<T>(e.key);
      if (value === undefined) this.memory.delete(id);
      else this.memory.set(id, value);
      fn(id);
    };
    window.addEventListener("storage", heard);
    return () => window.removeEventListener("storage", heard);
  }
}

/** Forgets all that is kept for a person: at sign-out. */
export function clearKept(owner: string): void {
  for (const key of keysWith(`${prefix}${owner}.`)) localStorage.removeItem(key);
}

function keysWith(start: string): string[] {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(start));
  } catch {
    return [];
  }
}

function read<T>(key: string): T | undefined {
  try {
    const text = localStorage.getItem(key);
    return text === null ? undefined : (JSON.parse(text) as T);
  } catch {
    return undefined; // of an older version
  }
}
