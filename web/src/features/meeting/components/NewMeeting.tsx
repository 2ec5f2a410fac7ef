import { Alert, Button, Group, Modal, SegmentedControl, Stack, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../../api/error";
import { findPeople } from "../../../api/people";
import { useSession } from "../../../api/session";
import { dayOf, formatLongDate, formatTime, fromWallClock } from "../../../lib/dates";
import { useDraft } from "../../../lib/draft";
import { useLang } from "../../../lib/i18n";
import type { PersonView } from "../../../lib/names";
import { paths } from "../../../lib/paths";
import { PersonPicker } from "../../../ui/PersonPicker";
import { personQuery, useCreateMeeting } from "../api";

const maxTitle = 200;

interface Typed {
  title: string;
  later: boolean;
  day: string;
  time: string;
  people: PersonView[];
}

/** The next full hour, in Viet Nam's time. */
function nextHour(): { day: string; time: string } {
  const at = new Date(Math.ceil((Date.now() + 60_000) / 3_600_000) * 3_600_000);
  return { day: dayOf(at), time: formatTime(at) };
}

/** Asks what a meeting is made of. What was typed outlives a failure and a reload. */
export function NewMeeting({ invitee, onClose }: { invitee?: string; onClose: () => void }) {
  const { t } = useTranslation("meeting");
  const navigate = useNavigate();
  const session = useSession();
  const lang = useLang();
  const create = useCreateMeeting();
  const [typed, setTyped, clear] = useDraft<Typed>("meeting.new", { title: "", later: false, ...nextHour(), people: [] });
  const [tried, setTried] = useState(false);
  const [now, setNow] = useState(() => Date.now());
  const set = (part: Partial<Typed>) => setTyped({ ...typed, ...part });

  const { data: named } = useQuery({ ...personQuery(invitee ?? ""), enabled: !!invitee });
  useEffect(() => {
    if (named && !typed.people.some((p) => p.id === named.id)) setTyped({ ...typed, people: [...typed.people, named] });
    // eslint-disable-next-line react-hooks/exhaustive-deps -- once, when the person is known
  }, [named]);

  const title = typed.title.trim();
  const starts = typed.later ? fromWallClock(typed.day, typed.time) : null;
  const problems = {
    title: !title ? t("form.titleEmpty") : [...title].length > maxTitle ? t("form.titleLong", { max: maxTitle }) : null,
    when: starts && Number.isNaN(starts.getTime()) ? t("form.noTime") : starts && starts.getTime() <= now ? t("form.past") : null,
  };
  const submit = () => {
    setTried(true);
    setNow(Date.now());
    if (problems.title || problems.when) return;
    create.mutate(
      {
        title,
        ...(starts ? { starts_at: starts.toISOString() } : {}),
        ...(typed.people.length > 0 ? { invite: typed.people.map((p) => p.id) } : {}),
      },
      {
        onSuccess: (m) => {
          clear();
          onClose();
          if (!starts) void navigate(paths.meeting(m.id));
        },
      },
    );
  };
  const refused = create.error instanceof ApiError && create.error.code === "invalid" ? create.error.detail : null;

  return (
    <Modal opened onClose={onClose} title={t("new")} size="lg" closeButtonProps={{ "aria-label": t("form.cancel") }}>
      <form
        noValidate
        onSubmit={(e) => {
          e.preventDefault();
          submit();
        }}
      >
        <Stack gap="md">
          <TextInput
            label={t("form.title")}
            placeholder={t("form.titlePlaceholder")}
            value={typed.title}
            error={tried && problems.title}
            data-autofocus
            onChange={(e) => set({ title: e.currentTarget.value })}
          />
          <SegmentedControl
            fullWidth
            aria-label={t("form.when")}
            value={typed.later ? "later" : "now"}
            onChange={(v) => set({ later: v === "later", ...(v === "later" && starts && starts.getTime() < now ? nextHour() : {}) })}
            data={[
              { value: "now", label: t("form.whenNow") },
              { value: "later", label: t("form.whenLater") },
            ]}
          />
          {typed.later && (
            <Group grow align="flex-start">
              <TextInput
                type="date"
                label={t("form.day")}
                value={typed.day}
                min={dayOf(now)}
                error={problems.when}
                onChange={(e) => set({ day: e.currentTarget.value })}
              />
              <TextInput type="time" label={t("form.time")} value={typed.time} onChange={(e) => set({ time: e.currentTarget.value })} />
            </Group>
          )}
          {starts && !Number.isNaN(starts.getTime()) && (
            // The fields follow the browser's language, not ours: 11/12 could be either.
            <Text size="sm" c="dimmed" aria-live="polite">
              {t("form.starts", { date: formatLongDate(starts, lang), time: formatTime(starts) })}
            </Text>
          )}
          <PersonPicker
            label={t("form.invite")}
            description={t("form.inviteHint")}
            value={typed.people}
            onChange={(people) => set({ people })}
            search={findPeople}
            exclude={[session.person.id]}
          />
          {create.isError && (
            <Alert color="red" variant="light" role="alert">
              {refused ? t("form.refused", { detail: refused }) : t("form.failed")}
            </Alert>
          )}
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={onClose}>
              {t("form.cancel")}
            </Button>
            <Button type="submit" loading={create.isPending}>
              {typed.later ? t("form.create") : t("form.createNow")}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
