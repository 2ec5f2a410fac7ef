import { Button, Checkbox, Group, Modal, Select, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../../api/error";
import { findPeople } from "../../../api/people";
import { useSession, type Position } from "../../../api/session";
import { dayOf, formatLongDate, fromWallClock } from "../../../lib/dates";
import { useLang } from "../../../lib/i18n";
import { shortAgency, type PersonView } from "../../../lib/names";
import { PersonPicker } from "../../../ui/PersonPicker";
import { useLend, type Scope } from "../api";
import { Problem } from "./Problem";

const scopes: readonly Scope[] = ["mail", "meetings", "chat", "documents"];
const day = 24 * 3_600_000;

/** Lends one of one's own positions to a colleague until the end of a day. */
export function LendDialog({ positions, onClose }: { positions: Position[]; onClose: () => void }) {
  const { t } = useTranslation("account");
  const lang = useLang();
  const { person } = useSession();
  const lend = useLend();
  const [today] = useState(() => dayOf(Date.now()));
  const [position, setPosition] = useState(positions[0]?.id ?? "");
  const [people, setPeople] = useState<PersonView[]>([]);
  const [from, setFrom] = useState(today);
  const [until, setUntil] = useState(() => dayOf(Date.now() + 7 * day));
  const [chosen, setChosen] = useState<Scope[]>([...scopes]);
  const [tried, setTried] = useState(false);

  const starts = fromWallClock(from, "00:00");
  const ends = new Date(fromWallClock(until, "00:00").getTime() + day); // the whole of the last day
  const wrong = {
    people: people.length === 0 ? t("delegation.who_missing") : null,
    from: Number.isNaN(starts.getTime()) ? t("delegation.day_missing") : null,
    until: Number.isNaN(ends.getTime()) ? t("delegation.day_missing") : until < from || until < today ? t("delegation.until_past") : null,
    scopes: chosen.length === 0 ? t("delegation.scopes_missing") : null,
  };
  const submit = (e: React.FormEvent) => {
    e.preventDefault();
    setTried(true);
    if (Object.values(wrong).some(Boolean) || lend.isPending) return;
    lend.mutate(
      { position_id: position, person_id: people[0]?.id ?? "", scopes: chosen, ends_at: ends.toISOString(), ...(from > today && { starts_at: starts.toISOString() }) },
      { onSuccess: onClose },
    );
  };
  const said = lend.error instanceof ApiError ? lend.error : null;
  return (
    <Modal opened onClose={onClose} title={t("delegation.lend")} size="lg" closeButtonProps={{ "aria-label": t("close") }}>
      <form onSubmit={submit} noValidate>
        <Stack gap="md">
          <Text c="dimmed">{t("delegation.lend_lead")}</Text>
          <Problem
            error={said}
            title={t("delegation.lend_failed")}
            words={{ invalid: t("delegation.refused"), forbidden: t("delegation.refused"), not_found: t("delegation.refused"), conflict: t("delegation.overlaps") }}
          />
          <Select
            label={t("delegation.position")}
            data={positions.map((p) => ({ value: p.id, label: [[p.title, p.unit].filter(Boolean).join(", "), shortAgency(p.agency_name)].filter(Boolean).join(" · ") }))}
            value={position}
            allowDeselect={false}
            onChange={(v) => v && setPosition(v)}
          />
          <PersonPicker
            label={t("delegation.who")}
            description={t("delegation.who_hint")}
            value={people}
            onChange={setPeople}
            search={findPeople}
            exclude={[person.id]}
            max={1}
            error={(tried && wrong.people) || undefined}
            initialFocus
          />
          <Group grow align="flex-start">
            <TextInput type="date" label={t("delegation.from")} value={from} min={today} error={tried && wrong.from} onChange={(e) => setFrom(e.currentTarget.value)} />
            <TextInput type="date" label={t("delegation.until")} value={until} min={from} error={tried && wrong.until} onChange={(e) => setUntil(e.currentTarget.value)} />
          </Group>
          {!wrong.from && !wrong.until && (
            // The fields follow the browser's language, not ours: 11/12 could be either.
            <Text size="sm" c="dimmed" aria-live="polite">
              {t("delegation.holds", { from: formatLongDate(starts, lang), to: formatLongDate(fromWallClock(until, "00:00"), lang) })}
            </Text>
          )}
          <Checkbox.Group label={t("delegation.scopes")} value={chosen} error={tried && wrong.scopes} onChange={(v) => setChosen(scopes.filter((s) => v.includes(s)))}>
            <Group gap="md" mt={4}>
              {scopes.map((s) => (
                <Checkbox key={s} value={s} label={t(`delegation.scope.${s}`)} />
              ))}
            </Group>
          </Checkbox.Group>
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {t("cancel")}
            </Button>
            <Button type="submit" loading={lend.isPending}>
              {t("delegation.lend_submit")}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
