import { Box, Text, Title } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { onOnline } from "../../api/connection";
import { onPushed } from "../../api/push";
import { currentPosition, useSession } from "../../api/session";
import { formatLongDate, partOfDay } from "../../lib/dates";
import { useLang } from "../../lib/i18n";
import { addressAs } from "../../lib/names";
import { usePageTitle } from "../../lib/title";
import { Page } from "../../ui/Page";
import { MailPanel, MeetingsPanel, MessagesPanel } from "./panels";
import classes from "./TodayPage.module.css";

/** What the day holds: the next meetings, unread messages, unread mail. */
export function TodayPage() {
  const { t } = useTranslation("today");
  const lang = useLang();
  const session = useSession();
  const now = useNow();
  const client = useQueryClient();
  useEffect(() => {
    const refresh = () => void client.invalidateQueries({ queryKey: ["today"] });
    const stops = [onPushed(({ live }) => live && refresh()), onOnline(refresh)];
    return () => stops.forEach((stop) => stop());
  }, [client]);
  usePageTitle(t("title"));
  const title = currentPosition(session)?.title ?? session.person.title;
  // Titles are Vietnamese words: English greets by the name.
  const name = lang === "vi" ? addressAs({ ...session.person, title }) : session.person.name;
  return (
    <Page>
      <Box mb="lg">
        <Title order={1}>{t(`greeting.${partOfDay(now)}`, { name })}</Title>
        <Text c="dimmed">{formatLongDate(now, lang)}</Text>
      </Box>
      <div className={classes.panels}>
        <MeetingsPanel now={now} />
        <MessagesPanel now={now} />
        <MailPanel now={now} />
      </div>
    </Page>
  );
}

/** The present, to the minute: the greeting and "in 5 minutes" go with the day. */
function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 60_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
