import { IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { useEffect, useRef, useState, type KeyboardEvent, type MouseEvent, type ReactNode } from "react";
import { fold } from "../lib/fold";
import classes from "./TreeView.module.css";
import { useRoving, VirtualRows } from "./VirtualRows";

/** A line of a tree, from top to bottom as it is drawn. */
export interface TreeRow {
  key: string;
  /** What typed letters look for. */
  name: string;
  level: number;
  /** undefined: nothing is below it. */
  open?: boolean;
  /** Its place among its siblings, from 1. */
  at: number;
  of: number;
}

interface Props<R extends TreeRow> {
  rows: R[];
  label: string;
  /** Key of the row that the page is about. */
  chosen?: string;
  children: (row: R) => ReactNode;
  /** The address that a row leads to; without one it is no link. */
  href?: (row: R) => string | undefined;
  onGo: (row: R) => void;
  onToggle: (row: R, open: boolean) => void;
  /** Keys that the page adds; true: that was one. */
  onKey?: (e: KeyboardEvent, row: R) => boolean;
  top?: number;
  onScroll?: (top: number) => void;
}

/** How far a row stands in. Deep in a tree the steps are small, so that names keep their room. */
const indent = (level: number) => 4 + 16 * Math.min(level - 1, 6) + 4 * Math.max(0, level - 7);

/** The height of a row, in pixels. */
export const treeRowHeight = 34;

/** A tree of any size: only what is seen is drawn. Arrows, Home, End and typed letters move in it; Right and Left open and close. */
export function TreeView<R extends TreeRow>({ rows, label, chosen = "", children, href, onGo, onToggle, onKey, top, onScroll }: Props<R>) {
  const roving = useRoving(rows.length);
  const box = useRef<HTMLDivElement>(null);
  const [began] = useState(top);
  const chosenAt = rows.findIndex((r) => r.key === chosen);

  // What the page is about is where arrows begin, and it is brought into sight once it is known.
  const { reach } = roving;
  const shown = useRef("");
  useEffect(() => {
    if (chosenAt < 0 || shown.current === chosen) return;
    shown.current = chosen;
    reach(chosenAt);
    requestAnimationFrame(() => box.current?.querySelector(`[data-row="${chosenAt}"]`)?.scrollIntoView({ block: "nearest" }));
  }, [chosen, chosenAt, reach]);

  const typed = useRef({ text: "", at: 0 });
  const onKeyDown = (e: KeyboardEvent<HTMLUListElement>) => {
    const row = rows[roving.active];
    if (!row || onKey?.(e, row) || roving.onKey(e) || e.ctrlKey || e.altKey || e.metaKey) return;
    if (e.key === "ArrowRight") {
      e.preventDefault();
      if (row.open === false) onToggle(row, true);
      else if (row.open) roving.focus(e.currentTarget, roving.active + 1);
    } else if (e.key === "ArrowLeft") {
      e.preventDefault();
      if (row.open) onToggle(row, false);
      else roving.focus(e.currentTarget, parentOf(rows, roving.active));
    } else if (e.key.length === 1 && !e.nativeEvent.isComposing) {
      const goesOn = e.timeStamp - typed.current.at < 700;
      e.preventDefault(); // a space would scroll
      typed.current = { text: (goesOn ? typed.current.text : "") + e.key, at: e.timeStamp };
      roving.focus(e.currentTarget, startsWith(rows, roving.active - (goesOn ? 1 : 0), typed.current.text));
    }
  };
  return (
    <div className={classes.box} ref={box}>
      <VirtualRows
        role="tree" label={label} count={rows.length} rowHeight={treeRowHeight} keyOf={(i) => rows[i]?.key ?? ""} pinned={roving.active}
        top={began} onScroll={onScroll} onKeyDown={onKeyDown}
      >
        {(i) => {
          const row = rows[i];
          return (
            row && (
              <Line row={row} chosen={row.key === chosen} href={href?.(row)} tabIndex={roving.tabIndex(i)} onFocus={() => reach(i)} onGo={() => onGo(row)} onToggle={() => onToggle(row, !row.open)}>
                {children(row)}
              </Line>
            )
          );
        }}
      </VirtualRows>
    </div>
  );
}

/** Only clicks that stay in this window are ours. */
const elsewhere = (e: MouseEvent) => e.ctrlKey || e.metaKey || e.shiftKey || e.button !== 0;

interface LineProps {
  row: TreeRow;
  chosen: boolean;
  href?: string;
  tabIndex: number;
  onFocus: () => void;
  onGo: () => void;
  onToggle: () => void;
  children: ReactNode;
}

function Line({ row, chosen, href, tabIndex, onFocus, onGo, onToggle, children }: LineProps) {
  const Chevron = row.open ? IconChevronDown : IconChevronRight;
  const item = {
    onFocus, className: classes.row, style: { paddingLeft: indent(row.level) }, "aria-level": row.level, "aria-setsize": row.of,
    "aria-posinset": row.at, "aria-expanded": row.open, "aria-current": chosen ? ("page" as const) : undefined,
    onClick: (e: MouseEvent) => {
      if (elsewhere(e)) return;
      e.preventDefault();
      // The sign before the name is for the mouse; the keyboard has Left and Right.
      if (row.open !== undefined && (e.target as Element).closest("[data-sign]")) onToggle();
      else onGo();
    },
  };
  const words = (
    <>
      <span className={classes.sign} data-sign aria-hidden>
        {row.open !== undefined && <Chevron size={16} stroke={1.5} />}
      </span>
      {children}
    </>
  );
  return href ? (
    <a role="treeitem" tabIndex={tabIndex} aria-selected={chosen} href={href} {...item}>
      {words}
    </a>
  ) : (
    <span role="treeitem" tabIndex={tabIndex} aria-selected={chosen} {...item} onKeyDown={(e) => e.key === "Enter" && onGo()}>
      {words}
    </span>
  );
}

/** The row that Left leads to: what this one is below. */
function parentOf(rows: TreeRow[], index: number): number {
  const level = rows[index]?.level ?? 1;
  for (let i = index - 1; i >= 0; i--) if ((rows[i]?.level ?? 0) < level) return i;
  return index;
}

/** The next row, from the one after this on and around, whose name begins with what was typed. */
function startsWith(rows: TreeRow[], index: number, typed: string): number {
  const looked = fold(typed);
  for (let step = 1; step <= rows.length; step++) {
    const i = (index + step) % rows.length;
    if (fold(rows[i]?.name ?? "").startsWith(looked)) return i;
  }
  return index;
}
