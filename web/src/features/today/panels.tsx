import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { conversationsQuery, otherOf, type Conversation } from "../../api/conversations";
import { codeOf } from "../../api/error";
import { useSession } from "../../api/session";
import { dayOf, formatDateTime, formatTime, formatWhen } from "../../lib/dates";
import { useLang } from "../../lib/i18n";
import { paths } from "../../lib/paths";
import { EmptyState, ErrorState, ListSkeleton } from "../../ui/States";
import { nextMeetings, unreadMail, type Letter, type Meeting } from "./api";
import { Lines } from "./Lines";
import { Panel } from "./Panel";

const shown = 5;

/** Meetings still ahead or on, the next first. */
export function MeetingsPanel({ now }: { now: number }) {
  const { t } = useTranslation("today");
  const when = useMeetingTime(now);
  const { data: meetings, error, refetch } = useQuery(nextMeetings);
  const running = (meetings ?? []).filter((m) => m.present > 0).slice(0, shown);
  const ahead = (meetings ?? []).filter((m) => m.present === 0).slice(0, shown - running.length);
  const lines = (some: Meeting[]) =>
    some.map((m) => ({
      id: m.id,
      place: paths.meeting(m.id),
      main: m.title,
      sub: m.relation === "maker" ? t("meetings.mine") : t("meetings.by", { name: m.created_by.name }),
      ...when(m),
    }));
  return (
    <Panel title={t("meetings.title")} more={{ place: paths.meetings(), label: t("meetings.all") }}>
      {!meetings ? (
        error ? (
          <ErrorState compact code={codeOf(error)} title={t("meetings.failed")} onRetry={() => void refetch()} />
        ) : (
          <ListSkeleton rows={3} />
        )
      ) : meetings.length === 0 ? (
        <EmptyState compact title={t("meetings.none")}>
          {t("meetings.none_hint")}
        </EmptyState>
      ) : (
        <>
          {running.length > 0 && <Lines title={t("meetings.running")} lines={lines(running)} />}
          {ahead.length > 0 && <Lines title={running.length > 0 ? t("meetings.ahead") : undefined} lines={lines(ahead)} />}
        </>
      )}
    </Panel>
  );
}

/** In words: so many inside, under way, in so many minutes, at a time today, or on a date. */
function useMeetingTime(now: number): (m: Meeting) => { side: string; now?: boolean } {
  const { t } = useTranslation("today");
  return ({ starts_at: at, present }) => {
    if (present > 0) return { side: t("meetings.present", { count: present }), now: true };
    if (!at) return { side: t("meetings.empty") };
    const minutes = Math.ceil((new Date(at).getTime() - now) / 60_000);
    if (minutes <= 0) return { side: t("meetings.since", { time: formatTime(at) }), now: true };
    if (minutes < 60) return { side: t("meetings.soon", { count: minutes }), now: minutes <= 15 };
    return { side: dayOf(at) === dayOf(now) ? formatTime(at) : formatDateTime(at) };
  };
}

/** Who has written what is not read yet, the newest first. */
export function MessagesPanel({ now }: { now: number }) {
  const { t } = useTranslation("today");
  const lang = useLang();
  const me = useSession().person.id;
  const { data: conversations, error, refetch } = useQuery(conversationsQuery);
  const waiting = (conversations ?? []).filter((c) => c.unread > 0).sort((a, b) => b.last_at.localeCompare(a.last_at));
  const unread = waiting.reduce((n, c) => n + c.unread, 0);
  return (
    <Panel title={t("messages.title")} count={unread} more={{ place: paths.chat(), label: t("messages.all") }}>
      {!conversations ? (
        error ? (
          <ErrorState compact code={codeOf(error)} title={t("messages.failed")} onRetry={() => void refetch()} />
        ) : (
          <ListSkeleton rows={2} />
        )
      ) : waiting.length === 0 ? (
        <EmptyState compact title={t(conversations.every((c) => c.count === 0) ? "messages.never" : "messages.none")}>
          {t("messages.none_hint")}
        </EmptyState>
      ) : (
        <Lines
          lines={waiting.slice(0, shown).map((c) => ({
            id: c.id,
            place: paths.conversation(c.id),
            main: otherOf(c, me)?.name ?? c.title,
            sub: lastWords(c),
            side: formatWhen(c.last_at, lang, now),
            count: { n: c.unread, words: t("messages.unread", { count: c.unread }) },
          }))}
        />
      )}
    </Panel>
  );
}

/** What was said last; in a channel, by whom. */
function lastWords({ kind, last }: Conversation): string {
  const text: unknown = last?.kind === "message" && typeof last.body === "object" && last.body ? Reflect.get(last.body, "text") : "";
  if (!last || typeof text !== "string" || !text) return "";
  return kind === "channel" ? `${last.sender_name}: ${text}` : text;
}

/** How much mail waits, and the newest of it. */
export function MailPanel({ now }: { now: number }) {
  const { t } = useTranslation("today");
  const lang = useLang();
  const { data: mail, error, refetch } = useQuery(unreadMail);
  if (mail === null) return null;
  return (
    <Panel title={t("mail.title")} count={mail?.unread} more={{ place: paths.mail(), label: t("mail.all") }}>
      {!mail ? (
        error ? (
          <ErrorState compact code={codeOf(error)} title={t("mail.failed")} onRetry={() => void refetch()} />
        ) : (
          <ListSkeleton rows={2} />
        )
      ) : mail.unread === 0 ? (
        <EmptyState compact title={t(mail.none ? "mail.never" : "mail.none")}>
          {t("mail.none_hint")}
        </EmptyState>
      ) : mail.newest.length === 0 ? (
        // What waits lies below the newest page, read already.
        <EmptyState compact title={t("mail.unread", { count: mail.unread })}>
          {t("mail.unread_hint")}
        </EmptyState>
      ) : (
        <Lines
          lines={mail.newest.slice(0, shown).map((m) => ({
            id: m.id,
            place: paths.message(m.mailbox, m.id),
            main: writer(m) || t("mail.nobody"),
            sub: m.subject || t("mail.no_subject"),
            side: formatWhen(m.received_at, lang, now),
          }))}
        />
      )}
    </Panel>
  );
}

const writer = ({ from }: Letter): string => from?.[0]?.name || from?.[0]?.address || "";
