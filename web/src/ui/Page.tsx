import type { ReactNode } from "react";
import classes from "./Page.module.css";

interface Props {
  children: ReactNode;
  /** Takes the whole place and scrolls inside itself: lists beside an item, a conversation. */
  full?: boolean;
}

/** A page's outermost element within the frame. */
export function Page({ children, full = false }: Props) {
  return <div className={full ? classes.full : classes.page}>{children}</div>;
}
