import { Button, Loader } from "@mantine/core";
import { IconArrowDown, IconArrowUp } from "@tabler/icons-react";
import { startTransition, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Virtuoso, type ListRange, type VirtuosoHandle } from "react-virtuoso";
import type { Conversation } from "../../../api/conversations";
import type { Chat, View } from "../chat";
import { moved, openedAt, placeOf } from "../divider";
import { firstSeq } from "../log";
import { firstUnread, textOf, timeline, type Line } from "../timeline";
import { useAttention } from "../use-attention";
import { MessageLine } from "./MessageLine";
import classes from "./MessageLog.module.css";
import { given, titleOf } from "./names";

interface Props {
  chat: Chat;
  conversation: Conversation;
  view: View;
  me: string;
}

/** What was said, with the line between read and unread. */
export function MessageLog({ chat, conversation, view, me }: Props) {
  const { t } = useTranslation("chat");
  const { id, read_seq: readSeq, unread } = conversation;
  const { events } = view.stretch;
  const first = firstSeq(view.stretch) || 1;
  const lastEvent = events.at(-1);
  const list = useRef<VirtuosoHandle>(null);
  const attentive = useAttention();
  const [atEnd, setAtEnd] = useState(false);
  const [lowestShown, setLowestShown] = useState(0);
  const [jumping, setJumping] = useState(false);
  // Where reading began when the page opened; what is older and unread is fetched when asked for.
  const [opened] = useState({ readSeq, unread });
  const [line, setLine] = useState(() => openedAt({ events, readSeq, unread }));
  const divider = placeOf(line, { events, me });
  // Who is at the end stays there, whatever comes and however the window changes,
  // until they scroll up themselves.
  const [follows, setFollows] = useState(divider === null);
  const stays = useRef(follows); // the same, for what is not React's
  const stay = useCallback((on: boolean) => {
    stays.current = on;
    startTransition(() => setFollows(on));
  }, []);
  const here = attentive && (atEnd || follows);
  const moves = moved(line, { events, head: conversation.seq, readSeq, unread, here, sending: view.outgoing.length > 0, me });
  if (moves !== line) setLine(moves);
  const olderUnread = opened.unread > 0 && divider === null && first > opened.readSeq + 1 ? opened.unread : 0;

  const attending = attentive && atEnd;
  useEffect(() => {
    chat.attend(attending ? id : "");
  }, [chat, id, attending]);
  useEffect(() => () => chat.attend(""), [chat]);

  // Seen, though not to the end.
  const lowest = Math.min(lowestShown, lastEvent?.seq ?? 0);
  useEffect(() => {
    if (attentive && lowest > 0 && !olderUnread) chat.readTo(id, lowest);
  }, [attentive, lowest, olderUnread, chat, id]);

  const lines = useMemo(() => timeline(events, view.outgoing, me, divider), [events, view.outgoing, me, divider]);
  const jumped = useRef(false); // the list may say "at the end" once more on its way to an older message
  const toEnd = useCallback(() => {
    stay(true);
    jumped.current = false;
    list.current?.scrollToIndex({ index: "LAST", align: "end", offset: 64 }); // and the foot
  }, [stay]);
  const sentHere = view.outgoing.at(-1)?.clientId;
  useEffect(() => {
    if (sentHere) toEnd();
  }, [sentHere, toEnd]);
  const [scroller, setScroller] = useState<HTMLElement | null>(null);
  useEffect(() => {
    if (!scroller) return;
    // Not by "scroll": the list moves itself as it measures its lines.
    const up = (e: Event) => {
      const leaves =
        e instanceof WheelEvent ? e.deltaY < 0
        : e instanceof KeyboardEvent ? ["ArrowUp", "PageUp", "Home", "Tab"].includes(e.key)
        : e.type === "touchmove" || e.target === scroller; // the scrollbar
      jumped.current = false;
      if (leaves) stay(false);
    };
    const ways = ["wheel", "keydown", "touchmove", "pointerdown"];
    for (const way of ways) scroller.addEventListener(way, up, { passive: true });
    // The list's own followOutput loses its way when messages come faster than it measures them.
    const resized = new ResizeObserver(() => {
      if (stays.current) scroller.scrollTop = scroller.scrollHeight;
    });
    resized.observe(scroller);
    for (const part of scroller.firstElementChild?.children ?? []) resized.observe(part, { box: "border-box" });
    return () => {
      for (const way of ways) scroller.removeEventListener(way, up);
      resized.disconnect();
    };
  }, [scroller, stay]);
  // Opened at an older line, the list says "at the end" of the few lines that it measures first:
  // that is believed only once the last one has been among them.
  const lastLine = first + lines.length - 1;
  const end = useRef({ said: false, believed: divider === null, line: lastLine });
  useEffect(() => {
    end.current.line = lastLine;
  }, [lastLine]);
  const settle = useCallback(() => {
    const at = end.current.said && end.current.believed;
    if (at && !jumped.current) stay(true);
    startTransition(() => setAtEnd(at));
  }, [stay]);
  // The list says these while it renders: a transition, and functions that stay
  // the same, keep its word from making it render again within that.
  const shownTo = useCallback((range: ListRange) => {
    startTransition(() => setLowestShown(range.endIndex));
    if (end.current.believed || range.endIndex < end.current.line) return;
    end.current.believed = true;
    settle();
  }, [settle]);
  const reachedEnd = useCallback((at: boolean) => {
    end.current.said = at;
    settle();
  }, [settle]);
  const holdScroller = useCallback((e: HTMLElement | Window | null) => void (e instanceof HTMLElement && setScroller(e)), []);
  const edges = useMemo(() => ({ Header: view.complete ? Beginning : view.paging ? Paging : Older, Footer: Foot }), [view.complete, view.paging]);

  // After the render that brings the lines, and the list's own move to keep its place as they come.
  const [target, setTarget] = useState<number | null>(null);
  // The conversation was kept from before, and what is unread comes only now.
  const [awaited, setAwaited] = useState(line.unread && divider === null && !olderUnread);
  if (awaited && divider !== null) {
    setAwaited(false);
    setTarget(divider);
  }
  useEffect(() => {
    if (target === null) return;
    stays.current = false;
    const frame = requestAnimationFrame(() => {
      list.current?.scrollToIndex({ index: target - first, align: "start", offset: -48 });
      setTarget(null);
    });
    return () => cancelAnimationFrame(frame);
  }, [target, first]);

  const jump = async () => {
    setJumping(true);
    stay(false);
    jumped.current = true;
    try {
      await chat.loadTo(id, opened.readSeq + 1);
      stay(false);
      setLine((now) => ({ ...now, mark: opened.readSeq, unread: true }));
      setTarget(firstUnread(chat.view(id).stretch.events, opened.readSeq, me));
    } finally {
      setJumping(false);
    }
  };

  const [startAt] = useState(() => (divider === null ? { index: "LAST" as const, align: "end" as const } : { index: divider - first, align: "start" as const, offset: -48 }));
  const typing = view.typing.map((p) => given(p.name));
  const below = lastEvent && !atEnd ? events.filter((e) => e.seq > lowest && e.seq > readSeq && e.kind === "message" && e.sender !== me).length : 0;

  return (
    <div className={classes.log}>
      {olderUnread > 0 && (
        <div className={classes.above}>
          <Button size="compact-sm" variant="default" loading={jumping} leftSection={<IconArrowUp size={16} stroke={1.5} aria-hidden />} onClick={() => void jump()}>
            {t("unread.jump", { count: olderUnread })}
          </Button>
        </div>
      )}
      {lines.length === 0 ? (
        <p className={classes.nothing}>{t("pane_empty", { name: titleOf(conversation, me) })}</p>
      ) : (
        <Virtuoso
          ref={list}
          className={classes.scroller}
          aria-label={t("log", { name: titleOf(conversation, me) })}
          role="group"
          data={lines}
          firstItemIndex={first}
          initialTopMostItemIndex={startAt}
          computeItemKey={(_, line) => line.key}
          alignToBottom
          increaseViewportBy={{ top: 400, bottom: 200 }}
          atBottomThreshold={24}
          atBottomStateChange={reachedEnd}
          scrollerRef={holdScroller}
          rangeChanged={shownTo}
          startReached={() => void chat.loadOlder(id)}
          components={edges}
          itemContent={(_, line) => <MessageLine line={line} me={me} members={conversation.members} chat={chat} />}
        />
      )}
      {!atEnd && lines.length > 0 && (
        <div className={classes.below}>
          <Button size="compact-sm" variant="default" leftSection={<IconArrowDown size={16} stroke={1.5} aria-hidden />} onClick={toEnd}>
            {below > 0 ? t("unread.below", { count: below }) : t("to_end")}
          </Button>
        </div>
      )}
      <div className={classes.typing} aria-live="polite">
        {typing.length > 0 && t(typing.length > 2 ? "typing.many" : "typing.some", { count: typing.length, names: typing.join(", ") })}
      </div>
      <Announced line={lines.at(-1)} me={me} />
    </div>
  );
}

/** For who listens: what has just come. */
function Announced({ line, me }: { line: Line | undefined; me: string }) {
  const { t } = useTranslation("chat");
  const [first] = useState(line?.key);
  const e = line?.event;
  const news = e && line.key !== first && e.kind === "message" && e.sender !== me;
  return (
    <div className="mantine-visually-hidden" aria-live="polite">
      {news ? t("announced", { name: e.sender_name, text: textOf(e) }) : ""}
    </div>
  );
}

function Beginning() {
  const { t } = useTranslation("chat");
  return <div className={classes.edge}>{t("beginning")}</div>;
}

function Paging() {
  const { t } = useTranslation("chat");
  return (
    <div className={classes.edge} role="status">
      <Loader size={14} aria-hidden /> {t("paging")}
    </div>
  );
}

function Foot() {
  return <div className={classes.foot} />;
}

function Older() {
  return <div className={classes.edge} />;
}
