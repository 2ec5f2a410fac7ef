import { create } from "zustand";
import type { Notice } from "./feature";

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
  clear(): void;
}

const kept = 50;

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
  clear: () => set({ list: [] }),
}));
