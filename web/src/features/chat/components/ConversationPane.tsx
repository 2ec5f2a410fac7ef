import { ActionIcon, Avatar, Button, Group, Skeleton, Text, Title, Tooltip } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { IconArrowLeft, IconUsers, IconVideo } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useEffect, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { conversationsQuery, otherOf, type Conversation } from "../../../api/conversations";
import { useSession } from "../../../api/session";
import { paths } from "../../../lib/paths";
import { PersonMark } from "../../../ui/PersonLine";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import type { Chat } from "../chat";
import { useView } from "../current";
import type { Outgoing } from "../outbox";
import { Composer } from "./Composer";
import classes from "./ConversationPane.module.css";
import { Members } from "./Members";
import { MessageLog } from "./MessageLog";
import { agencyOf, titleOf } from "./names";

/** One conversation: who it is with, what was said, and the place to write. */
export function ConversationPane({ id, chat }: { id: string; chat: Chat }) {
  const { t } = useTranslation("chat");
  const navigate = useNavigate();
  const me = useSession().person.id;
  const { data: list } = useQuery(conversationsQuery);
  const conversation = list?.find((c) => c.id === id);
  const view = useView(chat, id);
  const [members, setMembers] = useState(false);
  useEffect(() => chat.show(id), [chat, id]);

  if (view.error && !view.ready) {
    const gone = view.error === "not_found";
    return (
      <div className={classes.trouble}>
        <BackLink />
        {gone ? (
          <>
            <ErrorState code="forbidden" title={t("gone.title")} text={t("gone.text")} />
            <Unsent outgoing={view.outgoing} onDiscard={(clientId) => chat.discard(id, clientId)} />
          </>
        ) : (
          <ErrorState code={view.error} title={t("pane_failed")} onRetry={() => chat.reload(id)} />
        )}
      </div>
    );
  }
  if (!conversation || !view.ready) return <PaneSkeleton />;
  const other = otherOf(conversation, me);
  return (
    <>
      <Head
        mark={other ? <PersonMark name={other.name} /> : <ChannelMark />}
        title={titleOf(conversation, me)}
        below={other ? <About person={other} /> : <AboutChannel conversation={conversation} onOpen={() => setMembers(true)} />}
        actions={
          <Tooltip label={other ? t("meet_with", { name: other.name }) : t("members.label")}>
            {other ? (
              <ActionIcon
                variant="default" size="lg" aria-label={t("meet_with", { name: other.name })}
                renderRoot={(props) => <Link {...paths.meetWith(other.id)} {...props} />}
              >
                <IconVideo size={20} stroke={1.5} aria-hidden />
              </ActionIcon>
            ) : (
              <ActionIcon variant="default" size="lg" aria-label={t("members.label")} onClick={() => setMembers(true)}>
                <IconUsers size={20} stroke={1.5} aria-hidden />
              </ActionIcon>
            )}
          </Tooltip>
        }
      />
      <MessageLog chat={chat} conversation={conversation} view={view} me={me} />
      <Composer
        draft={`chat.${me}.${id}`}
        to={titleOf(conversation, me)}
        maxBytes={chat.maxText}
        onTyping={() => chat.typing(id)}
        onSend={(text) => {
          chat.send(id, text);
          return true;
        }}
      />
      {members && <Members conversation={conversation} me={me} onClose={() => setMembers(false)} onLeft={() => void navigate(paths.chat())} />}
    </>
  );
}

/** What was written and can no longer be sent is still there to be copied. */
function Unsent({ outgoing, onDiscard }: { outgoing: Outgoing[]; onDiscard: (clientId: string) => void }) {
  const { t } = useTranslation("chat");
  if (outgoing.length === 0) return null;
  return (
    <section>
      <Title order={2} mt="lg" mb="xs">
        {t("gone.unsent")}
      </Title>
      {outgoing.map((o) => (
        <Group key={o.clientId} justify="space-between" wrap="nowrap" align="flex-start">
          <Text style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>{o.text}</Text>
          <Button size="compact-sm" variant="default" flex="none" onClick={() => onDiscard(o.clientId)}>
            {t("failed.discard")}
          </Button>
        </Group>
      ))}
    </section>
  );
}

interface HeadProps {
  mark: ReactNode;
  title: string;
  below?: ReactNode;
  actions?: ReactNode;
}

export function Head({ mark, title, below, actions }: HeadProps) {
  // Where the list is not beside it, this is the page's own heading.
  const alone = useMediaQuery("(max-width: 859px)", false, { getInitialValueInEffect: false });
  return (
    <header className={classes.head}>
      <BackLink />
      {mark}
      <div className={classes.who}>
        <Title order={alone ? 1 : 2} size="h2" className={classes.title} title={title}>
          {title}
        </Title>
        {below}
      </div>
      {actions}
    </header>
  );
}

export function About({ person }: { person: { id: string; title?: string; unit?: string; agency_name?: string } }) {
  const words = [person.title, person.unit, agencyOf({ agency_name: person.agency_name ?? "" })].filter(Boolean).join(" · ");
  return (
    <Text size="sm" c="dimmed" truncate title={words}>
      {words}
    </Text>
  );
}

function AboutChannel({ conversation, onOpen }: { conversation: Conversation; onOpen: () => void }) {
  const { t } = useTranslation("chat");
  const agencies = new Set(conversation.members.map((m) => m.agency_id).filter(Boolean)).size;
  return (
    <button type="button" className={classes.about} onClick={onOpen}>
      {t("members.count", { count: conversation.member_count })}
      {agencies > 1 && ` · ${t("members.agencies", { count: agencies })}`}
    </button>
  );
}

function ChannelMark() {
  return (
    <Avatar size={36} radius="md" color="gray" variant="light" aria-hidden>
      <IconUsers size={20} stroke={1.5} />
    </Avatar>
  );
}

/** Where the list is not beside the conversation. */
function BackLink() {
  const { t } = useTranslation("chat");
  return (
    <Button
      className={classes.back} variant="subtle" color="gray" size="compact-md" px={6} aria-label={t("back")} title={t("back")}
      renderRoot={(props) => <Link {...paths.chat()} {...props} />}
    >
      <IconArrowLeft size={20} stroke={1.5} aria-hidden />
    </Button>
  );
}

export function PaneSkeleton() {
  return (
    <>
      <div className={classes.head}>
        <Skeleton circle height={36} />
        <Skeleton height={14} width={180} />
      </div>
      <div className={classes.waiting}>
        <ListSkeleton rows={6} marks />
      </div>
    </>
  );
}
