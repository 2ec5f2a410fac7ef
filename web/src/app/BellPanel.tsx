import { Stack, Text, Title } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { formatWhen } from "../lib/dates";
import { useLang } from "../lib/i18n";
import { useNotices, type KeptNotice } from "../lib/notices";
import classes from "./Bell.module.css";
import { closeFlyout } from "./Flyout";

/** What has happened since, newest first. */
export default function BellPanel() {
  const { t } = useTranslation("app");
  const list = useNotices((s) => s.list);
  return (
    <>
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
    </>
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
