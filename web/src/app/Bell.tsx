import { ActionIcon, Popover, Stack, Text, Title } from "@mantine/core";
import { IconBell } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { formatWhen } from "../lib/dates";
import { useLang } from "../lib/i18n";
import { useNotices, type KeptNotice } from "../lib/notices";
import classes from "./Bell.module.css";

/** What has happened since, newest first. */
export function Bell() {
  const { t } = useTranslation("app");
  const [open, setOpen] = useState(false);
  const list = useNotices((s) => s.list);
  const readAll = useNotices((s) => s.readAll);
  const unread = list.filter((n) => !n.read).length;
  const label = unread > 0 ? t("bell.unread", { count: unread }) : t("bell.label");
  return (
    <Popover
      position="bottom-end"
      width={360}
      opened={open}
      onChange={setOpen}
      onClose={readAll}
      trapFocus
      returnFocus
    >
      <Popover.Target>
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label={label}
          title={label}
          className={classes.bell}
          onClick={() => setOpen((o) => !o)}
        >
          <IconBell size={20} stroke={1.5} aria-hidden />
          {unread > 0 && (
            <span className={classes.count} aria-hidden>
              {unread}
            </span>
          )}
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown aria-label={t("bell.label")}>
        <Title order={2} mb="xs">
          {t("bell.label")}
        </Title>
        {list.length === 0 ? (
          <Text c="dimmed">{t("bell.empty")}</Text>
        ) : (
          <ul className={classes.list}>
            {list.map((n) => (
              <li key={n.id} data-unread={!n.read || undefined}>
                <Line notice={n} onFollow={() => setOpen(false)} />
              </li>
            ))}
          </ul>
        )}
      </Popover.Dropdown>
    </Popover>
  );
}

function Line({ notice, onFollow }: { notice: KeptNotice; onFollow: () => void }) {
  const lang = useLang();
  const words = (
    <Stack gap={0}>
      <Text fw={500}>{notice.title}</Text>
      {notice.text && <Text size="sm">{notice.text}</Text>}
      <Text size="xs" c="dimmed" className="tabular">
        {formatWhen(notice.at, lang)}
      </Text>
    </Stack>
  );
  if (!notice.place) return <div className={classes.line}>{words}</div>;
  return (
    <Link {...notice.place} className={classes.line} onClick={onFollow}>
      {words}
    </Link>
  );
}
