import { Text } from "@mantine/core";
import { conversationsQuery, otherOf } from "../../api/conversations";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../api/error";
import { useSession } from "../../api/session";
import { dayOf, formatDateTime, formatTime, formatWhen } from "../../lib/dates";
import { useLang } from "../../lib/i18n";
import { paths } from "../../lib/paths";
import { EmptyState, ErrorState, ListSkeleton } from "../../ui/States";
import { mailSummary, nextMeetings } from "./api";
import { Lines } from "./Lines";
import { Panel } from "./Panel";

/** Meetings still ahead, the next first. */
export function MeetingsPanel({ now }: { now: number }) {
  const { t } = useTranslation("today");
  const { data: meetings, error, refetch } = useQuery(nextMeetings);
  const ahead = (meetings ?? []).slice(0, 5);
  return (
    <Panel title={t("meetings.title")} more={{ place: paths.meetings(), label: t("meetings.all") }}>
      {error ? (
        <ErrorState compact code={codeOf(error)} title={t("meetings.failed")} onRetry={() => void refetch()} />
      ) : !meetings ? (
        <ListSkeleton rows={3} />
      ) : ahead.length === 0 ? (
        <EmptyState compact title={t("meetings.none")}>
          {t("meetings.none_hint")}
        </EmptyState>
      ) : (
        <Lines
          lines={ahead.map((m) => ({
            id: m.id,
            place: paths.meeting(m.id),
            main: m.title,
            side: !m.starts_at ? t("meetings.open") : dayOf(m.starts_at) === dayOf(now) ? formatTime(m.starts_at) : formatDateTime(m.starts_at),
          }))}
        />
      )}
    </Panel>
  );
}

/** The conversations with unread messages, the newest first; the chat's socket keeps them fresh. */
export function MessagesPanel() {
  const { t } = useTranslation("today");
  const lang = useLang();
  const me = useSession().person.id;
  const { data: conversations, error, refetch } = useQuery(conversationsQuery);
  const waiting = (conversations ?? []).filter((c) => c.unread > 0);
  return (
    <Panel title={t("messages.title")} more={{ place: paths.chat(), label: t("messages.all") }}>
      {error && !conversations ? (
        <ErrorState compact code={codeOf(error)} title={t("messages.failed")} onRetry={() => void refetch()} />
      ) : !conversations ? (
        <ListSkeleton rows={1} />
      ) : waiting.length === 0 ? (
        <EmptyState compact title={t("messages.none")}>
          {t("messages.none_hint")}
        </EmptyState>
      ) : (
        <Lines
          lines={waiting.slice(0, 5).map((c) => ({
            id: c.id,
            place: paths.conversation(c.id),
            main: otherOf(c, me)?.name ?? c.title,
            sub: t("messages.unread", { count: c.unread }),
            side: formatWhen(c.last_at, lang),
          }))}
        />
      )}
    </Panel>
  );
}

/** How much mail waits. */
export function MailPanel() {
  const { t } = useTranslation("today");
  const { data: summary, error, refetch } = useQuery(mailSummary);
  if (summary === null) return null;
  return (
    <Panel title={t("mail.title")} more={{ place: paths.mail(), label: t("mail.all") }}>
      {error ? (
        <ErrorState compact code={codeOf(error)} title={t("mail.failed")} onRetry={() => void refetch()} />
      ) : !summary ? (
        <ListSkeleton rows={1} />
      ) : summary.unread === 0 ? (
        <EmptyState compact title={t("mail.none")}>
          {t("mail.none_hint")}
        </EmptyState>
      ) : (
        <Text>{t("mail.unread", { count: summary.unread })}</Text>
      )}
    </Panel>
  );
}
