import { UnstyledButton } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { IconHistory } from "@tabler/icons-react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { EmptyState, ErrorState, ListSkeleton } from "../../../ui/States";
import { useRoving, VirtualRows } from "../../../ui/VirtualRows";
import { eventsOf, type AuditEvent } from "../api";
import { query, type Question } from "../question";
import { actionWords, formatSecond, namesOf, objectName, whoWords, type Names } from "../words";
import { Outcome } from "./Outcome";
import classes from "./AuditPage.module.css";

interface Props {
  question: Question;
  selected: string;
  onOpen: (id: string) => void;
}

/** The events that are asked for, newest first; more come as one gets near the end. */
export function EventList({ question, selected, onOpen }: Props) {
  const { t } = useTranslation("audit");
  const found = useInfiniteQuery(eventsOf(question));
  if (found.error && !found.data) {
    const forbidden = codeOf(found.error) === "forbidden";
    return (
      <ErrorState
        code={codeOf(found.error)} title={forbidden ? t("closed.title") : t("list.failed")} text={forbidden ? t("closed.text") : undefined}
        onRetry={() => void found.refetch()}
      />
    );
  }
  if (!found.data) {
    return (
      <div className={classes.loading}>
        <ListSkeleton rows={10} />
      </div>
    );
  }
  const events = found.data.pages.flatMap((p) => p.events);
  if (events.length === 0) {
    return (
      <EmptyState title={t("list.empty")} icon={<IconHistory size={32} stroke={1.5} />}>
        {t("list.emptyHint")}
      </EmptyState>
    );
  }
  const more = () => void (found.hasNextPage && !found.isFetching && !found.isFetchNextPageError && found.fetchNextPage());
  return (
    <div className={classes.list}>
      <div className={classes.columns} aria-hidden>
        {(["at", "outcome", "action", "who", "address"] as const).map((c) => (
          <span key={c}>{t(`list.column.${c}`)}</span>
        ))}
      </div>
      <Rows key={JSON.stringify(query(question))} events={events} names={namesOf(found.data.pages)} partial={found.hasNextPage} selected={selected} onOpen={onOpen} onMore={more} />
      <div className={classes.foot} role="status">
        {found.isFetchingNextPage ? t("list.more") : t(found.hasNextPage ? "list.shown" : "list.all", { count: events.length })}
      </div>
      {found.isFetchNextPageError && <ErrorState compact code={codeOf(found.error)} title={t("list.failed")} onRetry={() => void found.fetchNextPage()} />}
    </div>
  );
}

interface RowsProps {
  events: AuditEvent[];
  names: Names;
  partial: boolean;
  selected: string;
  onOpen: (id: string) => void;
  onMore: () => void;
}

function Rows({ events, names, partial, selected, onOpen, onMore }: RowsProps) {
  const { t } = useTranslation("audit");
  const narrow = useMediaQuery("(max-width: 639px)", false, { getInitialValueInEffect: false });
  const roving = useRoving(events.length);
  return (
    <VirtualRows
      label={t("list.label")} count={events.length} partial={partial} rowHeight={narrow ? 76 : 44} keyOf={(i) => events[i]?.id ?? ""} pinned={roving.active}
      onLast={(last) => last >= events.length - 20 && onMore()} onKeyDown={(e) => void roving.onKey(e)}
    >
      {(i) => {
        const e = events[i];
        if (!e) return null;
        const who = whoWords(t, e, names);
        const object = objectName(e, names);
        return (
          <UnstyledButton
            className={classes.row} aria-current={e.id === selected || undefined} tabIndex={roving.tabIndex(i)} onFocus={() => roving.reach(i)} onClick={() => onOpen(e.id)}
          >
            <time className="tabular" dateTime={e.at}>
              {formatSecond(e.at)}
            </time>
            <Outcome outcome={e.outcome} />
            <span className={classes.action}>
              {actionWords(t, e.action)}
              {object && <span className={classes.object}>{object}</span>}
            </span>
            <span className={classes.who} title={who}>
              {who}
            </span>
            <span className={`tabular ${classes.address}`}>{e.address ?? ""}</span>
          </UnstyledButton>
        );
      }}
    </VirtualRows>
  );
}
