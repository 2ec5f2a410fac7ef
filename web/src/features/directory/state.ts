import { create } from "zustand";

/** How the tree was left, for who comes back to it; the place itself is in the address. */
export const useTreeStore = create<{ touched: Record<string, boolean>; top: number }>()(() => ({ touched: {}, top: 0 }));

export function setOpen(key: string, open: boolean): void {
  useTreeStore.setState((s) => ({ touched: { ...s.touched, [key]: open } }));
}

// How far lists of people were scrolled, each by its place: what back returns to.
const tops = new Map<string, number>();

export function topOf(list: string): number {
  return tops.get(list) ?? 0;
}

export function keepTop(list: string, top: number): void {
  tops.delete(list); // the last used stands last
  tops.set(list, top);
  if (tops.size > 50) tops.delete(tops.keys().next().value ?? "");
}
