import { Anchor, Button } from "@mantine/core";
import { IconAlertTriangle, IconArrowBarToDown, IconClock } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { memo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useConnection } from "../../../api/connection";
import type { ConversationMember } from "../../../api/conversations";
import { useSession } from "../../../api/session";
import { dayOf, formatDate, formatDateTime, formatLongDate, formatTime } from "../../../lib/dates";
import { useLang } from "../../../lib/i18n";
import { paths } from "../../../lib/paths";
import { PersonMark } from "../../../ui/PersonLine";
import type { Chat } from "../chat";
import type { Outgoing } from "../outbox";
import { pieces } from "../text";
import { textOf, type Line } from "../timeline";
import classes from "./MessageLine.module.css";
import { agencyOf, happening } from "./names";

interface Props {
  line: Line;
  me: string;
  members: ConversationMember[];
  chat: Chat;
}

/** One line of a conversation, and what divides it from the one before. */
export const MessageLine = memo(function MessageLine({ line, me, members, chat }: Props) {
  const { t } = useTranslation("chat");
  const { event, outgoing } = line;
  const what = event && event.kind !== "message" ? happening(event, me, t) : "";
  return (
    <div className={classes.line}>
      {line.newDay && <Day at={line.at} />}
      {line.unread && (
        <div className={classes.unread} role="separator" aria-label={t("unread.divider")}>
          <IconArrowBarToDown size={16} stroke={1.5} aria-hidden />
          {t("unread.divider")}
        </div>
      )}
      {event && event.kind !== "message" ? (
        what && <p className={classes.event}>{what}</p>
      ) : (
        <Said
          line={line}
          id={event?.sender ?? me}
          name={event?.sender_name ?? ""}
          text={event ? textOf(event) : (outgoing?.text ?? "")}
          mine={!event || event.sender === me}
          agency={agencyOf(members.find((m) => m.id === (event?.sender ?? me)))}
        />
      )}
      {outgoing && <Sending outgoing={outgoing} chat={chat} />}
    </div>
  );
});

function Day({ at }: { at: number }) {
  const { t } = useTranslation("chat");
  const lang = useLang();
  const [now] = useState(() => Date.now());
  const today = dayOf(now);
  const yesterday = dayOf(now - 86_400_000);
  const day = dayOf(at);
  const words = day === today ? t("today") : day === yesterday ? t("yesterday") : formatLongDate(at, lang);
  return (
    <div className={classes.day} role="separator" aria-label={words} title={formatDate(at)}>
      <span>{words}</span>
    </div>
  );
}

interface SaidProps {
  line: Line;
  id: string;
  name: string;
  text: string;
  mine: boolean;
  agency: string;
}

function Said({ line, id, name, text, mine, agency }: SaidProps) {
  const { t } = useTranslation("chat");
  const self = useSession().person.name;
  const who = mine ? self : name;
  return (
    <article className={classes.said} data-joined={line.joined || undefined} aria-label={t("said", { name: mine ? t("you") : who, when: formatTime(line.at) })}>
      <div className={classes.gutter}>
        {line.joined ? (
          <time className={classes.side} dateTime={new Date(line.at).toISOString()} title={formatDateTime(line.at)}>
            {formatTime(line.at)}
          </time>
        ) : (
          <PersonMark name={who} />
        )}
      </div>
      <div className={classes.body}>
        {!line.joined && (
          <div className={classes.by}>
            {mine ? (
              <span className={classes.name}>{t("you")}</span>
            ) : (
              <Link {...paths.person(id)} className={classes.name}>
                {who}
              </Link>
            )}
            {!mine && agency && <span className={classes.agency}>{agency}</span>}
            <time className={classes.when} dateTime={new Date(line.at).toISOString()} title={formatDateTime(line.at)}>
              {formatTime(line.at)}
            </time>
          </div>
        )}
        <div className={classes.text}>
          {pieces(text).map((p, i) => ("text" in p ? p.text : <LinkTo key={i} link={p.link} />))}
        </div>
      </div>
    </article>
  );
}

/** A place of ours opens here, any other in a window of its own that knows nothing of this one. */
function LinkTo({ link }: { link: string }) {
  const url = URL.parse(link);
  if (url && url.origin === location.origin) {
    return (
      <Anchor renderRoot={(props) => <Link to={url.pathname} search={Object.fromEntries(url.searchParams) as never} {...props} />}>{link}</Anchor>
    );
  }
  return (
    <Anchor href={link} target="_blank" rel="noopener noreferrer">
      {link}
    </Anchor>
  );
}

/** What becomes of a message that the server has not confirmed. */
function Sending({ outgoing, chat }: { outgoing: Outgoing; chat: Chat }) {
  const { t } = useTranslation("chat");
  const online = useConnection((s) => s.state === "online");
  const { clientId, conversation, failure, sent } = outgoing;
  if (sent) return null;
  if (!failure) {
    return (
      <p className={classes.sending}>
        <IconClock size={14} stroke={1.5} aria-hidden /> {online ? t("sending.now") : t("sending.waits")}
      </p>
    );
  }
  const known = ["not_found", "forbidden", "too_large", "invalid"];
  // i18n: failed.not_found, failed.forbidden, failed.too_large, failed.invalid, failed.other
  return (
    <div className={classes.failed} role="alert">
      <span className={classes.why}>
        <IconAlertTriangle size={16} stroke={1.5} aria-hidden />
        {t(`failed.${known.includes(failure) ? failure : "other"}`)}
      </span>
      <Button size="compact-xs" variant="default" onClick={() => chat.retry(conversation, clientId)}>
        {t("failed.retry")}
      </Button>
      <Button size="compact-xs" variant="subtle" color="gray" onClick={() => chat.discard(conversation, clientId)}>
        {t("failed.discard")}
      </Button>
    </div>
  );
}
