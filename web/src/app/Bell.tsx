import { ActionIcon, Stack, Text, Title } from "@mantine/core";
import { IconBell } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { formatWhen } from "../lib/dates";
import { useLang } from "../lib/i18n";
import { useNotices, type KeptNotice } from "../lib/notices";
import { closeFlyout, Flyout } from "./Flyout";
import classes from "./Bell.module.css";

/** What has happened since, newest first. */
export function Bell() {
  const { t } = useTranslation("app");
  const list = useNotices((s) => s.list);
  const readAll = useNotices((s) => s.readAll);
  const unread = list.filter((n) => !n.read).length;
  const label = unread > 0 ? t("bell.unread", { count: unread }) : t("bell.label");
  return (
    <Flyout
      label={t("bell.label")}
      width={360}
      onClose={readAll}
      button={(props) => (
        <ActionIcon {...props} variant="subtle" color="gray" size="lg" aria-label={label} title={label} className={classes.bell}>
          <IconBell size={20} stroke={1.5} aria-hidden />
          {unread > 0 && (
            <span className={classes.count} aria-hidden>
              {unread}
            </span>
          )}
        </ActionIcon>
      )}
    >
      <Title order={2} mb="xs">
        {t("bell.label")}
      </Title>
      {list.length === 0 ? (
        <Text c="dimmed">{t("bell.empty")}</Text>
      ) : (
        <ul className={classes.list}>
          {list.map((n) => (
            <li key={n.id} data-unread={!n.read || undefined}>
              <Line notice={n} />
            </li>
          ))}
        </ul>
      )}
    </Flyout>
  );
}

function Line({ notice }: { notice: KeptNotice }) {
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
    <Link {...notice.place} className={classes.line} onClick={closeFlyout}>
      {words}
    </Link>
  );
}
