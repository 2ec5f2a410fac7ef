/**
 * State outside React that components read with useSyncExternalStore: an
 * immutable snapshot, replaced as a whole.
 */
export class Store<S extends object> {
  #state: S;
  readonly #listeners = new Set<() => void>();

  constructor(initial: S) {
    this.#state = initial;
  }

  readonly get = (): S => this.#state;

  readonly subscribe = (fn: () => void): (() => void) => {
    this.#listeners.add(fn);
    return () => {
      this.#listeners.delete(fn);
    };
  };

  set(part: Partial<S>): void {
    this.#state = { ...this.#state, ...part };
    for (const fn of [...this.#listeners]) fn();
  }
}
