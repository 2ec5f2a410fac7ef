import { Button, Stack, Text, Title } from "@mantine/core";
import { IconCalendarPlus, IconVideo } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { useSession } from "../../../api/session";
import { paths } from "../../../lib/paths";
import { Page } from "../../../ui/Page";
import { PageHeader } from "../../../ui/PageHeader";
import { EmptyState, ErrorState, ListSkeleton } from "../../../ui/States";
import { type Meeting, meetingsQuery, useCreateMeeting } from "../api";
import { MeetingRow } from "./MeetingRow";
import { NewMeeting } from "./NewMeeting";
import { JoinByCode } from "./JoinByCode";
import classes from "./MeetingsPage.module.css";

/** The meetings one made, is invited to or came to, and the ways to begin one. */
export function MeetingsPage() {
  const { t } = useTranslation("meeting");
  const navigate = useNavigate();
  const session = useSession();
  const { data: meetings, error, refetch } = useQuery(meetingsQuery);
  const create = useCreateMeeting();
  // A person's card leads here with that person to be invited.
  const { with: invitee } = useSearch({ strict: false }) as { with?: string };
  const [wanted, setAsking] = useState(false);
  const asking = wanted || !!invitee;

  const meetNow = () => {
    create.mutate(
      { title: t("form.default", { name: session.person.name }) },
      { onSuccess: (m) => void navigate(paths.meeting(m.id)) },
    );
  };
  const { running, ahead, past } = sorted(meetings ?? []);

  return (
    <Page>
      <PageHeader
        title={t("page")}
        description={t("description")}
        actions={
          <>
            <Button variant="default" leftSection={<IconCalendarPlus size={18} stroke={1.5} aria-hidden />} onClick={() => setAsking(true)}>
              {t("new")}
            </Button>
            <Button leftSection={<IconVideo size={18} stroke={1.5} aria-hidden />} loading={create.isPending} onClick={meetNow}>
              {t("now")}
            </Button>
          </>
        }
      />
      <Stack gap="lg">
        <JoinByCode />
        {create.isError && <ErrorState compact code={codeOf(create.error)} title={t("form.failed")} onRetry={meetNow} />}
        {error && !meetings ? (
          <ErrorState code={codeOf(error)} title={t("list.failed")} onRetry={() => void refetch()} />
        ) : !meetings ? (
          <ListSkeleton rows={4} />
        ) : meetings.length === 0 ? (
          <EmptyState title={t("list.empty.title")} icon={<IconVideo size={32} stroke={1.5} />}>
            {t("list.empty.text")}
          </EmptyState>
        ) : (
          <>
            {running.length > 0 && <Meetings title={t("list.running")} meetings={running} />}
            <Meetings title={t("list.ahead")} meetings={ahead} none={t("list.noneAhead")} />
            {past.length > 0 && <Meetings title={t("list.past")} meetings={past} />}
          </>
        )}
      </Stack>
      {asking && (
        <NewMeeting
          invitee={invitee}
          onClose={() => {
            setAsking(false);
            if (invitee) void navigate({ ...paths.meetings(), replace: true });
          }}
        />
      )}
    </Page>
  );
}

/** Where people are inside; what is still to come, below it what stands open with nobody inside; and what is over. */
function sorted(meetings: Meeting[]): { running: Meeting[]; ahead: Meeting[]; past: Meeting[] } {
  const empty = meetings.filter((m) => m.present === 0);
  const ahead = empty.filter((m) => !m.past);
  return {
    running: meetings.filter((m) => m.present > 0),
    ahead: [...ahead.filter((m) => m.starts_at), ...ahead.filter((m) => !m.starts_at)],
    past: empty.filter((m) => m.past),
  };
}

function Meetings({ title, meetings, none }: { title: string; meetings: Meeting[]; none?: string }) {
  const id = useId();
  const [now] = useState(() => Date.now());
  return (
    <section aria-labelledby={id}>
      <Title order={2} id={id} mb="xs">
        {title}
      </Title>
      {meetings.length === 0 && none ? (
        <Text c="dimmed">{none}</Text>
      ) : (
        <ul className={classes.list}>
          {meetings.map((m) => (
            <li key={m.id}>
              <MeetingRow meeting={m} now={now} />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
