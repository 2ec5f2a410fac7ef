import { useCallback, useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { flushSync } from "react-dom";
import classes from "./VirtualRows.module.css";

interface Props {
  count: number;
  /** Every row's height in pixels. */
  rowHeight: number;
  /** What tells a row from others when some are added before it. */
  keyOf: (index: number) => string;
  children: (index: number) => ReactNode;
  /** A list, or a tree whose items bring their own place in it. */
  role?: "list" | "tree";
  label: string;
  /** More rows will come: how many there are in the end is not known yet. */
  partial?: boolean;
  /** Drawn though out of sight: what has the focus must not vanish under it. */
  pinned?: number;
  /** Where it was scrolled to when it was shown last. */
  top?: number;
  onScroll?: (top: number) => void;
  /** The last row that is drawn, as it changes: for fetching more. */
  onLast?: (index: number) => void;
  onKeyDown?: (e: KeyboardEvent<HTMLUListElement>) => void;
}

const overscan = 8;

/** A list of any length of which only what is seen is drawn. It scrolls in the place that its parent, a flex column, leaves it. */
export function VirtualRows({ count, rowHeight, keyOf, children, role = "list", label, partial = false, pinned, top = 0, onScroll, onLast, onKeyDown }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ top, height: 800 }); // a window's height until it is measured
  const measure = useCallback(() => {
    const at = scroller.current;
    // In steps of rows: less to draw while it moves.
    if (at) setSeen((old) => {
      const next = { top: Math.floor(at.scrollTop / rowHeight) * rowHeight, height: at.clientHeight || old.height };
      return next.top === old.top && next.height === old.height ? old : next;
    });
  }, [rowHeight]);
  useLayoutEffect(() => {
    const at = scroller.current;
    if (!at) return;
    at.scrollTop = top;
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(at);
    return () => watch.disconnect();
    // eslint-disable-next-line react-hooks/exhaustive-deps -- where it stood counts once, when it is shown
  }, [measure]);

  const first = Math.max(0, Math.floor(seen.top / rowHeight) - overscan);
  const last = Math.min(count - 1, Math.ceil((seen.top + seen.height) / rowHeight) + overscan);
  useLayoutEffect(() => {
    onLast?.(last); // whatever it returns is no clean-up
  }, [last, onLast]);
  const drawn = Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
  if (pinned !== undefined && pinned < count && pinned >= 0) {
    if (pinned < first) drawn.unshift(pinned);
    else if (pinned > last) drawn.push(pinned);
  }
  const tree = role === "tree";
  return (
    <div
      ref={scroller} className={classes.scroller}
      onScroll={(e) => {
        measure();
        onScroll?.(e.currentTarget.scrollTop);
      }}
    >
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- arrows move between the rows, which are links */}
      <ul role={role} aria-label={label} className={classes.rows} style={{ height: count * rowHeight }} onKeyDown={onKeyDown}>
        {drawn.map((i) => (
          <li
            key={keyOf(i)} data-row={i} role={tree ? "none" : undefined}
            aria-setsize={tree ? undefined : partial ? -1 : count} aria-posinset={tree ? undefined : i + 1}
            style={{ height: rowHeight, transform: `translateY(${i * rowHeight}px)` }}
          >
            {children(i)}
          </li>
        ))}
      </ul>
    </div>
  );
}

/**
 * One row takes part in the tab order; arrows, Home and End move it and the focus. Rows give their link or
 * button tabIndex={tabIndex(i)} and onFocus={() => reach(i)}.
 */
export function useRoving(count: number) {
  const [at, setAt] = useState(0);
  const active = Math.min(at, Math.max(0, count - 1));
  /** Moves the focus to a row of the list that this event came to. */
  const focus = (list: Element, index: number) => {
    const to = Math.max(0, Math.min(count - 1, index));
    flushSync(() => setAt(to));
    list.querySelector<HTMLElement>(`[data-row="${to}"] [tabindex="0"]`)?.focus();
  };
  return {
    active,
    reach: setAt,
    tabIndex: (index: number) => (index === active ? 0 : -1),
    focus,
    /** Handles the keys that all lists have; tells whether it was one. */
    onKey(e: KeyboardEvent<Element>): boolean {
      const to = { ArrowDown: active + 1, ArrowUp: active - 1, Home: 0, End: count - 1, PageDown: active + 10, PageUp: active - 10 }[e.key];
      if (to === undefined || e.ctrlKey || e.altKey || e.metaKey) return false;
      e.preventDefault();
      focus(e.currentTarget, to);
      return true;
    },
  };
}
