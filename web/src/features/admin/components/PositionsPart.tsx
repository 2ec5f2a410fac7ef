import { Badge, Button, Group, Select, Stack, Text, TextInput, Title } from "@mantine/core";
import { IconArrowsExchange, IconPlus } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Agency, Unit } from "../../../api/directory";
import { codeOf } from "../../../api/error";
import { useSession } from "../../../api/session";
import { dayOf, formatDate } from "../../../lib/dates";
import { useDraft } from "../../../lib/draft";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import { toast } from "../../../ui/toast";
import { useAct } from "../api";
import { addPosition, changePosition, endPosition, fromDay, kinds, lastDay, positionsQuery, transfer, untilDay, type Kind, type PersonRecord, type Position } from "../people";
import { holdsAt, sections } from "../scope";
import { FormDialog, offerUndo, Problem } from "./Dialogs";
import { DayField, UnitSelect } from "./fields";
import classes from "./Admin.module.css";

interface Props {
  person: PersonRecord;
  agency: Agency;
  units: Unit[];
  may: boolean;
}

type Doing = { what: "add" } | { what: "transfer" } | { what: "change"; position: Position };

/** A person's positions: those of now and to come, and behind a button those of the past. */
export function PositionsPart({ person, agency, units, may }: Props) {
  const { t } = useTranslation("admin");
  const client = useQueryClient();
  const { data: positions, error, refetch } = useQuery(positionsQuery(person.id));
  const [doing, setDoing] = useState<Doing>();
  const [history, setHistory] = useState(false);
  const end = useAct(endPosition);
  const past = positions?.filter((p) => p.state === "past") ?? [];
  const standing = positions?.filter((p) => p.state !== "past") ?? [];
  const finish = (p: Position) =>
    end.mutate(p.id, {
      onSuccess: () =>
        // One that had not begun is not kept, so it is made anew.
        offerUndo(client, t("positions.ended", { title: p.title }), () =>
          p.state === "current"
            ? changePosition({ id: p.id, ...(p.valid_until ? { valid_until: p.valid_until } : { open: true }) })
            : addPosition({ person: person.id, unit_id: p.unit_id, title: p.title, kind: p.kind, seniority: p.seniority, valid_from: p.valid_from, ...(p.valid_until && { valid_until: p.valid_until }) }),
        ),
    });
  return (
    <section className={classes.part} aria-label={t("positions.title")}>
      <Group justify="space-between" mb="xs">
        <Title order={3}>{t("positions.title")}</Title>
        {may && (
          <Group gap="xs">
            {standing.some((p) => p.kind === "main" && p.state === "current") && (
              <Button size="xs" variant="default" leftSection={<IconArrowsExchange size={16} stroke={1.5} aria-hidden />} onClick={() => setDoing({ what: "transfer" })}>
                {t("positions.transfer")}
              </Button>
            )}
            <Button size="xs" variant="default" leftSection={<IconPlus size={16} stroke={1.5} aria-hidden />} onClick={() => setDoing({ what: "add" })}>
              {t("positions.add")}
            </Button>
          </Group>
        )}
      </Group>
      <Problem error={end.error} title={t("positions.endFailed")} />
      {error && !positions ? (
        <ErrorState compact code={codeOf(error)} title={t("positions.failed")} onRetry={() => void refetch()} />
      ) : !positions ? (
        <ListSkeleton rows={2} />
      ) : (
        <>
          {standing.length === 0 && <Text c="dimmed">{t("positions.none")}</Text>}
          <ul className={classes.lines}>
            {standing.map((p) => (
              <li key={p.id}>
                <Line position={p} />
                {may && p.agency_id === agency.id && (
                  <Group gap={4} wrap="nowrap">
                    <Button size="compact-sm" variant="subtle" color="gray" aria-label={t("positions.changeOne", { title: p.title })} onClick={() => setDoing({ what: "change", position: p })}>
                      {t("positions.change")}
                    </Button>
                    <Button
                      size="compact-sm" variant="subtle" color="gray" aria-label={t("positions.endOne", { title: p.title })} loading={end.isPending && end.variables === p.id}
                      onClick={() => finish(p)}
                    >
                      {t("positions.end")}
                    </Button>
                  </Group>
                )}
              </li>
            ))}
          </ul>
          {past.length > 0 && (
            <Button mt="xs" size="compact-sm" variant="subtle" color="gray" aria-expanded={history} onClick={() => setHistory(!history)}>
              {t("positions.history", { count: past.length })}
            </Button>
          )}
          {history && (
            <ul className={classes.lines} aria-label={t("positions.past")}>
              {past.map((p) => (
                <li key={p.id}>
                  <Line position={p} />
                </li>
              ))}
            </ul>
          )}
        </>
      )}
      {doing?.what === "change" ? (
        <Change position={doing.position} onClose={() => setDoing(undefined)} />
      ) : (
        doing && <Begin person={person} agency={agency} units={units} moving={doing.what === "transfer"} onClose={() => setDoing(undefined)} />
      )}
    </section>
  );
}

function Line({ position: p }: { position: Position }) {
  const { t } = useTranslation("admin");
  return (
    <div>
      <Group gap="xs">
        <Text fw={500}>{p.title}</Text>
        {p.kind !== "main" && (
          <Badge variant="default" size="sm">
            {t(`kind.${p.kind}`)}
          </Badge>
        )}
        {p.state === "future" && (
          <Badge variant="default" size="sm">
            {t("positions.future")}
          </Badge>
        )}
      </Group>
      <Text size="sm" c="dimmed">
        {[p.unit, p.agency_name].filter(Boolean).join(" · ")}
      </Text>
      <Text size="sm" c="dimmed" className="tabular">
        {p.valid_until
          ? t("positions.span", { from: formatDate(p.valid_from), until: formatDate(new Date(p.valid_until).getTime() - 1) })
          : t("positions.since", { from: formatDate(p.valid_from) })}
      </Text>
    </div>
  );
}

interface Form {
  title: string;
  unit: string;
  kind: Kind;
  from: string;
  until: string;
}
const empty: Form = { title: "", unit: "", kind: "main", from: "", until: "" };

/** A further position, or a transfer: the main one ends as the new one begins. */
function Begin({ person, agency, units, moving, onClose }: { person: PersonRecord; agency: Agency; units: Unit[]; moving: boolean; onClose: () => void }) {
  const { t } = useTranslation("admin");
  const session = useSession();
  const [form, setForm, clear] = useDraft<Form>(`admin.${session.person.id}.position.${moving ? "transfer" : "add"}.${person.id}`, { ...empty, kind: moving ? "main" : "concurrent" });
  const act = useAct((body: Parameters<typeof addPosition>[0]): Promise<unknown> => {
    const { person: id, ...to } = body;
    return moving ? transfer({ person: id, to }) : addPosition(body);
  });
  const set = (change: Partial<Form>) => setForm({ ...form, ...change });
  const wrong = form.from && form.until && form.until < form.from ? t("positions.order") : undefined;
  const submit = () => {
    const from = fromDay(form.from);
    const until = untilDay(form.until);
    act.mutate(
      { person: person.id, unit_id: form.unit, title: form.title.trim(), kind: form.kind, ...(from && { valid_from: from }), ...(until && { valid_until: until }) },
      {
        onSuccess: () => {
          clear();
          onClose();
          toast.show({ message: t(moving ? "positions.transferred" : "positions.added", { name: person.name }) });
        },
      },
    );
  };
  return (
    <FormDialog
      title={t(moving ? "positions.transfer" : "positions.add")} submit={t(moving ? "positions.transferNow" : "positions.addNow")} failed={t("positions.addFailed")} error={act.error}
      busy={act.isPending} incomplete={!form.title.trim() || !form.unit || !!wrong} onSubmit={submit} onClose={onClose}
    >
      {moving && <Text>{t("positions.transferHint", { name: person.name })}</Text>}
      <UnitSelect label={t("people.inUnit")} required units={units} value={form.unit} onChange={(unit) => set({ unit })} may={(path) => holdsAt(session.grants, sections.units, agency.id, path)} />
      <TextInput label={t("people.title")} required maxLength={200} value={form.title} onChange={(e) => set({ title: e.currentTarget.value })} />
      {!moving && <KindSelect value={form.kind} onChange={(kind) => set({ kind })} />}
      <div className={classes.fields}>
        <DayField label={t("positions.from")} hint={t("positions.fromHint")} value={form.from} onChange={(from) => set({ from })} />
        <DayField label={t("positions.until")} hint={t("positions.untilHint")} error={wrong} value={form.until} onChange={(until) => set({ until })} />
      </div>
    </FormDialog>
  );
}

function Change({ position, onClose }: { position: Position; onClose: () => void }) {
  const { t } = useTranslation("admin");
  const [form, setForm] = useState({ title: position.title, kind: position.kind, from: dayOf(position.valid_from), until: lastDay(position.valid_until), seniority: String(position.seniority) });
  const act = useAct(changePosition);
  const set = (change: Partial<typeof form>) => setForm({ ...form, ...change });
  const wrong = form.until && form.until < form.from ? t("positions.order") : undefined;
  const submit = () => {
    const from = form.from !== dayOf(position.valid_from) ? fromDay(form.from) : undefined;
    const until = form.until !== lastDay(position.valid_until) ? untilDay(form.until) : undefined;
    act.mutate(
      {
        id: position.id, version: position.version, title: form.title.trim(), kind: form.kind, seniority: Number(form.seniority) || 0,
        ...(from && { valid_from: from }), ...(until && { valid_until: until }), ...(!form.until && position.valid_until && { open: true }),
      },
      {
        onSuccess: () => {
          onClose();
          toast.show({ message: t("saved") });
        },
      },
    );
  };
  return (
    <FormDialog
      title={t("positions.changeTitle")} submit={t("save")} failed={t("saveFailed")} error={act.error} busy={act.isPending} incomplete={!form.title.trim() || !!wrong}
      onSubmit={submit} onClose={onClose}
    >
      <Stack gap={0}>
        <Text fw={500}>{position.unit}</Text>
        <Text size="sm" c="dimmed">
          {position.agency_name}
        </Text>
      </Stack>
      <TextInput label={t("people.title")} required data-autofocus maxLength={200} value={form.title} onChange={(e) => set({ title: e.currentTarget.value })} />
      <KindSelect value={form.kind} onChange={(kind) => set({ kind })} />
      <div className={classes.fields}>
        <DayField label={t("positions.from")} value={form.from} onChange={(from) => set({ from })} />
        <DayField label={t("positions.until")} hint={t("positions.untilHint")} error={wrong} value={form.until} onChange={(until) => set({ until })} />
      </div>
      <TextInput
        type="number" min={0} max={1_000_000} label={t("positions.seniority")} description={t("positions.seniorityHint")} value={form.seniority}
        onChange={(e) => set({ seniority: e.currentTarget.value })}
      />
    </FormDialog>
  );
}

function KindSelect({ value, onChange }: { value: Kind; onChange: (kind: Kind) => void }) {
  const { t } = useTranslation("admin");
  return (
    <Select
      label={t("positions.kind")} allowDeselect={false} value={value} onChange={(next) => next && onChange(next as Kind)}
      data={kinds.map((k) => ({ value: k, label: t(`kind.${k}`) }))}
    />
  );
}
