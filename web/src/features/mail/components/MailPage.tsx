import { ActionIcon, Text, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { IconInbox, IconMailOpened, IconSearch, IconWifiOff, IconX } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { paths } from "../../../lib/paths";
import { usePageTitle } from "../../../lib/title";
import { Page } from "../../../ui/Page";
import { EmptyState, ErrorState, ListSkeleton } from "../../../ui/States";
import { mailboxesQuery, messagesQuery, type Row } from "../api";
import { heldPlace, useMailActions, useMailboxName, usePlace } from "../use";
import { FolderMenu, Folders, isCurrent, WriteButton } from "./Folders";
import { HeldList } from "./HeldList";
import classes from "./Mail.module.css";
import { MessageList, type ListHandle } from "./MessageList";
import { NothingOpen } from "./NothingOpen";
import { Reading } from "./Reading";

/** Folders, the list of one, and the message being read: three panes, two, or one, as there is room. */
export function MailPage() {
  const { t } = useTranslation("mail");
  const navigate = useNavigate();
  const { mailbox: place, message } = usePlace();
  const { q = "" } = useSearch({ strict: false }) as { q?: string };
  const nameOf = useMailboxName();
  const actions = useMailActions();
  const boxes = useQuery(mailboxesQuery);
  const box = boxes.data?.find((b) => isCurrent(b, place));
  const messages = useInfiniteQuery(messagesQuery(box?.id ?? "", q));
  const rows = useMemo(() => messages.data?.pages.flatMap((p) => p.messages) ?? [], [messages.data]);
  const list = useRef<ListHandle>(null);
  const held = place === heldPlace;
  const title = held ? t("held.title") : box ? nameOf(box) : t("title");
  usePageTitle(box && box.unread > 0 && box.role === "inbox" ? t("titleUnread", { name: title, count: box.unread }) : title);

  const within = q ? { search: { q } as never } : {};
  const open = (row: Row | undefined, replace = false) => {
    if (!row) return void navigate({ ...paths.mailbox(place), ...within, replace });
    void navigate({ ...(row.draft && place === "drafts" ? paths.compose({ draft: row.id }) : { ...paths.message(place, row.id), ...within }), replace });
  };
  /** The one that comes into a message's place when it goes. */
  const neighbour = (id: string) => {
    const at = rows.findIndex((r) => r.id === id);
    return rows[at + 1] ?? rows[at - 1];
  };
  const leave = (row: Row) => {
    const next = neighbour(row.id);
    const wide = window.matchMedia("(min-width: 1024px)").matches;
    if (row.id === message) open(wide && !next?.draft ? next : undefined, true);
    else if (next) list.current?.focus(next.id);
  };
  const onKey = (key: string, row: Row): boolean => {
    switch (key) {
      case "Delete":
      case "#":
        if (box?.role === "trash") return false; // for good: not by a slip of the finger
        leave(row);
        void actions.remove(row);
        return true;
      case "u":
        void actions.mark(row, !row.seen);
        return true;
      case "r":
      case "a":
      case "f":
        if (row.draft) return false;
        void navigate(paths.compose({ [{ r: "reply", a: "all", f: "forward" }[key]]: row.id }));
        return true;
      case "c":
        void navigate(paths.compose());
        return true;
      default:
        return false;
    }
  };
  const step = (by: number) => {
    const next = rows[rows.findIndex((r) => r.id === message) + by];
    if (next && !next.draft) open(next, true);
  };

  const none = boxes.data && !box && !held;
  return (
    <Page full>
      <h1 className="mantine-visually-hidden">{title}</h1>
      <div className={classes.layout} data-message={message || undefined}>
        <Folders current={place} />
        <section className={classes.list} aria-label={t("list.label")}>
          <div className={classes.head}>
            <div className={classes.headLine}>
              <FolderMenu current={place} title={title} />
              <Text className={classes.plainTitle} aria-hidden truncate>
                {title}
              </Text>
              <span className={classes.chooser}>
                <WriteButton />
              </span>
            </div>
            {!held && <Search key={place} q={q} place={place} />}
          </div>
          {messages.isRefetchError && messages.data && (
            <div className={classes.stale} role="status">
              <IconWifiOff size={16} stroke={1.5} aria-hidden />
              {t("list.stale")}
            </div>
          )}
          {held ? (
            <HeldList />
          ) : none ? (
            <EmptyState title={t("list.noFolder")}>{t("list.noFolderHint")}</EmptyState>
          ) : (boxes.error && !boxes.data) || (messages.error && !messages.data) ? (
            <div className={classes.pad}>
              <ErrorState
                code={codeOf(messages.error ?? boxes.error)} title={t("list.failed")}
                onRetry={() => void (boxes.data ? messages.refetch() : boxes.refetch())}
              />
            </div>
          ) : !messages.data ? (
            <div className={classes.pad}>
              <ListSkeleton rows={9} />
            </div>
          ) : rows.length === 0 ? (
            q ? (
              <EmptyState title={t("list.noHit", { q })} icon={<IconSearch size={36} stroke={1.5} />}>
                {t("list.noHitHint")}
              </EmptyState>
            ) : (
              <EmptyState title={t("list.empty")} icon={<IconInbox size={36} stroke={1.5} />}>
                {box?.role === "inbox" ? t("list.emptyInbox") : box?.role === "drafts" ? t("list.emptyDrafts") : undefined}
              </EmptyState>
            )
          ) : (
            <MessageList
              key={`${place} ${q}`} ref={list} rows={rows} label={title} place={place} q={q} current={message}
              outgoing={box?.role === "sent" || box?.role === "drafts"} loadingMore={messages.isFetchingNextPage}
              onEnd={() => messages.hasNextPage && !messages.isFetchingNextPage && void messages.fetchNextPage()} onKey={onKey}
            />
          )}
        </section>
        <section className={classes.item} aria-label={t("reading.label")}>
          {message ? (
            <Reading
              key={message} id={message} place={place} box={box} row={rows.find((r) => r.id === message)} actions={actions}
              onLeave={leave} onClose={() => open(undefined)} onStep={step}
            />
          ) : held ? null : (
            <NothingOpen icon={<IconMailOpened size={40} stroke={1.5} />} keys={rows.length > 0} />
          )}
        </section>
      </div>
    </Page>
  );
}

/** Looks for words in the folder; the address bar follows. */
function Search({ q, place }: { q: string; place: string }) {
  const { t } = useTranslation("mail");
  const navigate = useNavigate();
  const [text, setText] = useState(q);
  const asked = useRef(q);
  useEffect(() => {
    if (q === asked.current) return;
    asked.current = q; // back, or a link from elsewhere
    setText(q);
  }, [q]);
  const search = useDebouncedCallback((typed: string) => {
    asked.current = typed;
    void navigate({ ...paths.mailbox(place), search: (typed ? { q: typed } : {}) as never, replace: true });
  }, 250);
  const type = (typed: string) => {
    setText(typed);
    search(typed.trim());
  };
  return (
    <TextInput
      type="search" aria-label={t("search.label")} placeholder={t("search.placeholder")} value={text}
      leftSection={<IconSearch size={16} stroke={1.5} aria-hidden />}
      rightSection={
        text && (
          <ActionIcon variant="subtle" color="gray" aria-label={t("search.clear")} onClick={() => type("")}>
            <IconX size={16} stroke={1.5} aria-hidden />
          </ActionIcon>
        )
      }
      onChange={(e) => type(e.currentTarget.value)}
      onKeyDown={(e) => {
        if (e.key === "Escape" && text && !e.nativeEvent.isComposing) {
          e.preventDefault();
          type("");
        }
      }}
    />
  );
}
