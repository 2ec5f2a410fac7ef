import { ActionIcon, Avatar, Group, Menu, Text, TextInput, Title } from "@mantine/core";
import { IconClock, IconMessagePlus, IconPlus, IconSearch, IconUsers, IconUsersPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { forwardRef, useMemo, useState, type ComponentPropsWithoutRef } from "react";
import { useTranslation } from "react-i18next";
import { Virtuoso } from "react-virtuoso";
import { conversationsQuery, otherOf, type Conversation } from "../../../api/conversations";
import { codeOf } from "../../../api/error";
import { useSession } from "../../../api/session";
import { formatWhen } from "../../../lib/dates";
import { matches } from "../../../lib/fold";
import { useLang } from "../../../lib/i18n";
import { paths } from "../../../lib/paths";
import { PersonMark } from "../../../ui/PersonLine";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import { useChat, useWaiting } from "../current";
import classes from "./ChatPage.module.css";
import { preview, titleOf } from "./names";

interface Props {
  current?: string;
  onNew: (what: "direct" | "channel") => void;
}

/** All conversations, the newest first. */
export function ConversationList({ current, onNew }: Props) {
  const { t } = useTranslation("chat");
  const me = useSession().person.id;
  const { data: list, error } = useQuery(conversationsQuery);
  const chat = useChat((s) => s.chat);
  const [query, setQuery] = useState("");
  const shown = useMemo(
    () => (list ?? []).filter((c) => !query.trim() || matches(query, titleOf(c, me), ...c.members.filter((m) => m.id !== me).map((m) => m.name))),
    [list, query, me],
  );
  return (
    <section className={classes.list} aria-label={t("list.label")}>
      <div className={classes.listHead}>
        <Group justify="space-between" wrap="nowrap">
          <Title order={1}>{t("title")}</Title>
          <Menu position="bottom-end">
            <Menu.Target>
              <ActionIcon variant="filled" size="lg" aria-label={t("new.label")} title={t("new.label")}>
                <IconPlus size={20} stroke={1.5} aria-hidden />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item leftSection={<IconMessagePlus size={18} stroke={1.5} aria-hidden />} onClick={() => onNew("direct")}>
                {t("new.direct")}
              </Menu.Item>
              <Menu.Item leftSection={<IconUsersPlus size={18} stroke={1.5} aria-hidden />} onClick={() => onNew("channel")}>
                {t("new.channel")}
              </Menu.Item>
            </Menu.Dropdown>
          </Menu>
        </Group>
        {!!list?.length && (
          <TextInput
            type="search"
            aria-label={t("list.search")}
            placeholder={t("list.search")}
            leftSection={<IconSearch size={16} stroke={1.5} aria-hidden />}
            value={query}
            onChange={(e) => setQuery(e.currentTarget.value)}
          />
        )}
      </div>
      <div className={classes.rows}>
        {error && !list ? (
          <ErrorState compact code={codeOf(error)} title={t("list.failed")} onRetry={() => void chat?.refresh()} />
        ) : !list ? (
          <ListSkeleton rows={8} marks />
        ) : list.length === 0 ? (
          <Text c="dimmed" px="xs">
            {t("list.empty")}
          </Text>
        ) : shown.length === 0 ? (
          <Text c="dimmed" p="xs" role="status">
            {t("list.none", { query: query.trim() })}
          </Text>
        ) : (
          <Virtuoso
            data={shown}
            computeItemKey={(_, c) => c.id}
            components={{ List: Rows, Item: RowItem }}
            itemContent={(_, c) => <Row conversation={c} me={me} current={c.id === current} />}
          />
        )}
      </div>
    </section>
  );
}

const Rows = forwardRef<HTMLDivElement, ComponentPropsWithoutRef<"div">>(function Rows(props, ref) {
  return <div {...props} ref={ref} role="list" />;
});

function RowItem({ item: _, ...props }: ComponentPropsWithoutRef<"div"> & { item: Conversation }) {
  return <div {...props} role="listitem" />;
}

function Row({ conversation: c, me, current }: { conversation: Conversation; me: string; current: boolean }) {
  const { t } = useTranslation("chat");
  const lang = useLang();
  const title = titleOf(c, me);
  const other = otherOf(c, me);
  const waits = useWaiting(c.id);
  const line = preview(c, me, t);
  return (
    <Link
      {...paths.conversation(c.id)}
      className={classes.row}
      data-current={current || undefined}
      data-unread={c.unread > 0 || undefined}
      aria-current={current ? "page" : undefined}
    >
      {other ? (
        <PersonMark name={other.name} />
      ) : (
        <Avatar size={36} radius="md" color="gray" variant="light" aria-hidden>
          <IconUsers size={20} stroke={1.5} />
        </Avatar>
      )}
      <span className={classes.words}>
        <span className={classes.first}>
          <span className={classes.name} title={other ? [other.name, other.title, other.agency_name].filter(Boolean).join(" · ") : title}>
            {title}
          </span>
          <span className={classes.when}>{formatWhen(c.last_at, lang)}</span>
        </span>
        <span className={classes.second}>
          <span className={classes.preview}>{line}</span>
          {waits && <IconClock size={16} stroke={1.5} className={classes.waiting} role="img" aria-label={t("list.waiting")} />}
          {c.unread > 0 && (
            <>
              <span className={classes.count} aria-hidden>
                {c.unread > 99 ? "99+" : c.unread}
              </span>
              <span className="mantine-visually-hidden">{t("list.unread", { count: c.unread })}</span>
            </>
          )}
        </span>
      </span>
    </Link>
  );
}
