import { forwardRef, useImperativeHandle, useRef, useState, type ComponentPropsWithRef, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";
import { Virtuoso, type VirtuosoHandle } from "react-virtuoso";
import { Text } from "@mantine/core";
import type { Row } from "../api";
import classes from "./Mail.module.css";
import { MessageRow } from "./MessageRow";

interface Props {
  rows: Row[];
  label: string;
  place: string;
  outgoing: boolean;
  q: string;
  /** Id of the message that is open. */
  current: string;
  loadingMore: boolean;
  onEnd: () => void;
  /** A key that means something for the focused message; true when it did. */
  onKey: (key: string, row: Row) => boolean;
}

export interface ListHandle {
  /** Brings a message into sight and puts the focus on it. */
  focus: (id: string) => void;
}

const parts = {
  List: forwardRef<HTMLDivElement, ComponentPropsWithRef<"div"> & { context?: { label: string } }>(function List({ context, ...props }, ref) {
    return <div {...props} ref={ref} role="list" aria-label={context?.label} />;
  }),
  Item: function Item(props: ComponentPropsWithRef<"div"> & { item?: unknown; context?: unknown }) {
    const { children, style, ref } = props;
    const place = Object.fromEntries(Object.entries(props).filter(([name]) => name.startsWith("data-")));
    return (
      <div ref={ref} style={style} {...place} role="listitem">
        {children}
      </div>
    );
  },
  Footer: function Footer({ context }: { context?: { more: string } }) {
    return context?.more ? (
      <Text size="sm" c="dimmed" p="sm" role="status">
        {context.more}
      </Text>
    ) : null;
  },
};

/** Messages one below the other; only those in sight are in the page. Arrows, j and k go through it. */
export const MessageList = forwardRef<ListHandle, Props>(function MessageList({ rows, label, place, outgoing, q, current, loadingMore, onEnd, onKey }, handle) {
  const { t } = useTranslation("mail");
  const list = useRef<VirtuosoHandle>(null);
  const box = useRef<HTMLDivElement>(null);
  const [focused, setFocused] = useState("");
  const [range, setRange] = useState({ from: 0, to: rows.length });

  // One of those in sight is reached by Tab: the focused, else the open, else the first.
  const inSight = (id: string) => {
    const at = rows.findIndex((r) => r.id === id);
    return at >= range.from && at <= range.to;
  };
  const tabbable = [focused, current].find((id) => id && inSight(id)) ?? rows[Math.min(range.from, rows.length - 1)]?.id;

  const focus = (id: string) => {
    const at = rows.findIndex((r) => r.id === id);
    if (at < 0) return;
    setFocused(id);
    const now = () => [...(box.current?.querySelectorAll<HTMLElement>("[data-row]") ?? [])].find((e) => e.dataset["row"] === id)?.focus();
    list.current?.scrollIntoView({ index: at, done: now });
    now(); // in sight already
  };
  useImperativeHandle(handle, () => ({ focus }));

  const onKeyDown = (e: KeyboardEvent) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const id = (e.target as HTMLElement).closest<HTMLElement>("[data-row]")?.dataset["row"];
    const at = rows.findIndex((r) => r.id === id);
    const row = rows[at];
    if (!row) return;
    const step = { ArrowDown: at + 1, j: at + 1, ArrowUp: at - 1, k: at - 1, Home: 0, End: rows.length - 1 }[e.key];
    if (step !== undefined) {
      e.preventDefault();
      const next = rows[step];
      if (next) focus(next.id);
    } else if (onKey(e.key, row)) {
      e.preventDefault();
    }
  };

  return (
    // The keys are those of the links inside.
    // eslint-disable-next-line jsx-a11y/no-static-element-interactions
    <div className={classes.rows} ref={box} onKeyDown={onKeyDown}>
      <Virtuoso
        ref={list} data={rows} tabIndex={-1} initialItemCount={Math.min(rows.length, 30)} increaseViewportBy={300}
        computeItemKey={(_, row) => row.id} components={parts} context={{ label, more: loadingMore ? t("loadingMore") : "" }}
        endReached={onEnd} rangeChanged={({ startIndex, endIndex }) => setRange({ from: startIndex, to: endIndex })}
        itemContent={(_, row) => (
          <MessageRow
            row={row} place={place} outgoing={outgoing} q={q} current={row.id === current} tabbable={row.id === tabbable}
            onFocus={() => setFocused(row.id)}
          />
        )}
      />
    </div>
  );
});
