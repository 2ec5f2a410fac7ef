import { create } from "zustand";
import type { Notice } from "./feature";
import type { Place } from "./paths";

/** A notice behind the bell. */
export interface KeptNotice extends Notice {
  id: string;
  at: number;
  read: boolean;
}

interface Notices {
  list: KeptNotice[];
  add(notice: Notice & { id: string; at?: number; read?: boolean }): void;
  readAll(): void;
  /** Somebody has come to a page: what led there is read. */
  visit(pathname: string): void;
  clear(): void;
}

const kept = 50;

/** The page is the place, or lies within it. */
export const isAt = (place: Place | undefined, pathname: string): boolean => place !== undefined && `${pathname}/`.startsWith(`${place.to}/`);

/**
 * The notices of this page, newest first. add is idempotent by id, so that a
 * socket that resumes may say a thing twice; a newer one takes its place.
 */
export const useNotices = create<Notices>()((set) => ({
  list: [],
  add: (notice) =>
    set((s) => {
      if (s.list.some((n) => n.id === notice.id && n.at >= (notice.at ?? 0))) return s;
      const entry = { ...notice, at: notice.at ?? Date.now(), read: notice.read ?? false };
      return { list: [entry, ...s.list.filter((n) => n.id !== notice.id)].sort((a, b) => b.at - a.at).slice(0, kept) };
    }),
  readAll: () => set((s) => ({ list: s.list.map((n) => (n.read ? n : { ...n, read: true })) })),
  visit: (pathname) =>
    set((s) => {
      const led = (n: KeptNotice) => !n.read && isAt(n.place, pathname);
      return s.list.some(led) ? { list: s.list.map((n) => (led(n) ? { ...n, read: true } : n)) } : s;
    }),
  clear: () => set({ list: [] }),
}));
