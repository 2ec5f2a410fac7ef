import { useEffect } from "react";
import { create } from "zustand";

const product = "commsd";

/** What the browser's tab says: "(3) Tin nhắn · commsd". */
export const useTitleStore = create<{ page: string; count: number }>()(() => ({ page: "", count: 0 }));

useTitleStore.subscribe(({ page, count }) => {
  const name = page ? `${page} · ${product}` : product;
  document.title = count > 0 ? `(${count > 99 ? "99+" : count}) ${name}` : name;
});

/** Names the page in the tab and to screen readers while the component is shown. */
export function usePageTitle(page: string): void {
  useEffect(() => {
    useTitleStore.setState({ page });
  }, [page]);
}
