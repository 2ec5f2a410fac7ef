import { Button, Group, Stack, Text, Textarea, TextInput, Title } from "@mantine/core";
import { IconArrowDown, IconArrowLeft, IconArrowUp, IconPlus, IconTrash, IconUsers } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { unitsQuery, type Agency, type Unit } from "../../../api/directory";
import { codeOf } from "../../../api/error";
import { useSession } from "../../../api/session";
import { useDraft } from "../../../lib/draft";
import { useLang } from "../../../lib/i18n";
import { hrefOf, paths } from "../../../lib/paths";
import { EmptyState, ErrorState, ListSkeleton } from "../../../ui/States";
import { toast } from "../../../ui/toast";
import { TreeView } from "../../../ui/TreeView";
import { addUnit, agencyRecordQuery, changeAgency, changeUnit, deleteUnit, orderUnits, unitRecordQuery, useAct, type AgencyRecord, type UnitRecord } from "../api";
import { lines, useEdits } from "../edits";
import { holdsAt, sections } from "../scope";
import { flat, moved, unitName, unitRows, type FlatUnit } from "../units";
import { PanelSkeleton, type SectionProps } from "./AdminPage";
import { FormDialog, offerUndo, Problem } from "./Dialogs";
import { UnitSelect } from "./fields";
import { SaveBar } from "./SaveBar";
import classes from "./Admin.module.css";

/** The agency's tree of units, and what can be changed of the chosen one; of the agency itself, when none is. */
export function UnitsSection({ agency, id }: SectionProps) {
  const { t } = useTranslation("admin");
  const lang = useLang();
  const navigate = useNavigate();
  const { data: units, error, refetch } = useQuery(unitsQuery(agency.id));
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  if (error && !units) return <ErrorState code={codeOf(error)} title={t("units.failed")} onRetry={() => void refetch()} />;
  if (!units) {
    return (
      <div className={classes.page}>
        <ListSkeleton rows={8} />
      </div>
    );
  }
  const named = { name: unitName(agency, lang), people: agency.people };
  const place = (key: string) => paths.admin("units", key || agency.id, { agency: agency.id });
  const chosen = flat(units, lang).find((u) => u.unit.id === id);
  const toggle = (key: string, open: boolean) => {
    const next = new Set(closed);
    if (open) next.delete(key);
    else next.add(key);
    setClosed(next);
  };
  return (
    <div className={classes.split} data-item={id ? "" : undefined}>
      <div className={classes.list}>
        <div className={classes.head}>
          <Title order={1}>{t("section.units")}</Title>
        </div>
        <TreeView
          label={t("units.tree")} rows={unitRows(named, units, closed, lang)} chosen={chosen?.unit.id ?? ""} href={(row) => hrefOf(place(row.key))}
          onGo={(row) => void navigate(place(row.key))} onToggle={(row, open) => toggle(row.key, open)}
        >
          {(row) => (
            <>
              <span className={classes.unit} title={row.name} style={row.unit ? undefined : { fontWeight: 500 }}>
                {row.name}
              </span>
              <span className={classes.count}>{row.people}</span>
            </>
          )}
        </TreeView>
      </div>
      <div className={classes.item}>
        <Button
          className={classes.toList} mb="sm" variant="subtle" color="gray" size="compact-md" leftSection={<IconArrowLeft size={16} stroke={1.5} aria-hidden />}
          renderRoot={(props) => <Link {...paths.admin("units", undefined, { agency: agency.id })} {...props} />}
        >
          {t("units.tree")}
        </Button>
        {chosen ? (
          <UnitPanel key={chosen.unit.id} agency={agency} at={chosen} units={units} />
        ) : id && id !== agency.id ? (
          <EmptyState title={t("units.gone")}>{t("units.goneHint")}</EmptyState>
        ) : (
          <AgencyPanel key={agency.id} agency={agency} units={units} />
        )}
      </div>
    </div>
  );
}

function UnitPanel({ agency, at, units }: { agency: Agency; at: FlatUnit; units: Unit[] }) {
  const { t } = useTranslation("admin");
  const { data: record, error, refetch } = useQuery(unitRecordQuery(at.unit.id));
  const { grants } = useSession();
  const may = holdsAt(grants, sections.units, agency.id, at.path);
  return (
    <Stack gap="lg">
      <div>
        <Title order={2}>{at.name}</Title>
        <Text c="dimmed" size="sm">
          {at.trail}
        </Text>
      </div>
      <Group gap="xs">
        {may && <AddUnit agency={agency} parent={at.unit.id} />}
        <Button
          variant="default" leftSection={<IconUsers size={16} stroke={1.5} aria-hidden />}
          renderRoot={(props) => <Link {...paths.admin("people", undefined, { agency: agency.id, unit: at.unit.id })} {...props} />}
        >
          {t("units.people", { count: at.unit.people })}
        </Button>
      </Group>
      {!may && <Text c="dimmed">{t("whom.unit")}</Text>}
      {record ? (
        may && <UnitForm key={record.id} record={record} units={units} at={at} agency={agency} />
      ) : error ? (
        <ErrorState compact code={codeOf(error)} title={t("units.loadFailed")} onRetry={() => void refetch()} />
      ) : (
        <PanelSkeleton />
      )}
    </Stack>
  );
}

function UnitForm({ record, units, at, agency }: { record: UnitRecord; units: Unit[]; at: FlatUnit; agency: Agency }) {
  const { t } = useTranslation("admin");
  const navigate = useNavigate();
  const client = useQueryClient();
  const { grants } = useSession();
  const edits = useEdits(`unit.${record.id}`, { name: record.name, name_en: record.name_en, parent_id: record.parent_id });
  const save = useAct(changeUnit);
  const order = useAct(orderUnits);
  const remove = useAct(deleteUnit);
  const { value, set } = edits;
  const submit = () =>
    save.mutate(
      { id: record.id, version: record.version, ...edits.patch },
      {
        onSuccess: () => {
          edits.clear();
          toast.show({ message: t("saved") });
        },
      },
    );
  // This panel may be gone before the answer is dealt with, and callbacks of mutate with it.
  const gone = () =>
    remove.mutateAsync(record.id).then(
      () => {
        offerUndo(client, t("units.deleted", { name: record.name }), () =>
          addUnit({ agency_id: record.agency_id, name: record.name, name_en: record.name_en, rank: record.rank, ...(record.parent_id && { parent_id: record.parent_id }) }),
        );
        return navigate(paths.admin("units", record.parent_id || undefined, { agency: agency.id }));
      },
      () => undefined, // remove.error says it
    );
  const up = moved(at.siblings, record.id, -1);
  const down = moved(at.siblings, record.id, 1);
  const inUse = at.unit.people > 0 || at.unit.units.length > 0;
  return (
    <>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          if (edits.changed && value.name.trim()) submit();
        }}
      >
        <Stack gap="md">
          <Problem error={save.error} title={t("saveFailed")} />
          <div className={classes.fields}>
            <TextInput label={t("units.name")} required maxLength={400} value={value.name} onChange={(e) => set({ name: e.currentTarget.value })} />
            <TextInput label={t("units.nameEN")} maxLength={400} value={value.name_en} onChange={(e) => set({ name_en: e.currentTarget.value })} />
          </div>
          <UnitSelect
            label={t("units.parent")} description={t("units.parentHint")} units={units} value={value.parent_id} onChange={(parent_id) => set({ parent_id })}
            none={holdsAt(grants, sections.units, agency.id, "") ? t("units.root") : undefined} without={record.id} may={(path) => holdsAt(grants, sections.units, agency.id, path)}
          />
          <SaveBar changed={edits.changed} busy={save.isPending} onReset={edits.clear} />
        </Stack>
      </form>
      <section className={classes.part} aria-label={t("units.order")}>
        <Title order={3} mb={4}>
          {t("units.order")}
        </Title>
        <Text c="dimmed" size="sm" mb="sm">
          {t("units.orderHint", { at: at.siblings.findIndex((u) => u.id === record.id) + 1, of: at.siblings.length })}
        </Text>
        <Problem error={order.error} title={t("units.orderFailed")} />
        <Group gap="xs">
          <Button variant="default" leftSection={<IconArrowUp size={16} stroke={1.5} aria-hidden />} disabled={!up} loading={order.isPending} onClick={() => up && order.mutate(up)}>
            {t("units.up")}
          </Button>
          <Button variant="default" leftSection={<IconArrowDown size={16} stroke={1.5} aria-hidden />} disabled={!down} loading={order.isPending} onClick={() => down && order.mutate(down)}>
            {t("units.down")}
          </Button>
        </Group>
      </section>
      <section className={classes.part} aria-label={t("units.delete")}>
        <Title order={3} mb={4}>
          {t("units.delete")}
        </Title>
        <Text c="dimmed" size="sm" mb="sm">
          {t(inUse ? "units.deleteInUse" : "units.deleteHint")}
        </Text>
        <Problem error={remove.error} title={t("units.deleteFailed")} />
        <Button variant="default" disabled={inUse} loading={remove.isPending} leftSection={<IconTrash size={16} stroke={1.5} aria-hidden />} onClick={() => void gone()}>
          {t("units.delete")}
        </Button>
      </section>
    </>
  );
}

const emptyUnit = { name: "", name_en: "" };

function AddUnit({ agency, parent }: { agency: Agency; parent: string }) {
  const { t } = useTranslation("admin");
  const navigate = useNavigate();
  const [open, setOpen] = useState(false);
  const [form, setForm, clear] = useDraft(`admin.${useSession().person.id}.unit.${parent || agency.id}`, emptyUnit);
  const add = useAct(addUnit);
  const submit = () =>
    add.mutate(
      { agency_id: agency.id, name: form.name.trim(), name_en: form.name_en.trim(), ...(parent && { parent_id: parent }) },
      {
        onSuccess: (made) => {
          clear();
          setOpen(false);
          toast.show({ message: t("units.added", { name: made.name }) });
          void navigate(paths.admin("units", made.id, { agency: agency.id }));
        },
      },
    );
  return (
    <>
      <Button leftSection={<IconPlus size={16} stroke={1.5} aria-hidden />} onClick={() => setOpen(true)}>
        {t(parent ? "units.addBelow" : "units.add")}
      </Button>
      {open && (
        <FormDialog
          title={t(parent ? "units.addBelow" : "units.add")} submit={t("units.addNow")} failed={t("units.addFailed")} error={add.error} busy={add.isPending}
          incomplete={!form.name.trim()} onSubmit={submit} onClose={() => setOpen(false)}
        >
          <TextInput label={t("units.name")} required data-autofocus maxLength={400} value={form.name} onChange={(e) => setForm({ ...form, name: e.currentTarget.value })} />
          <TextInput label={t("units.nameEN")} maxLength={400} value={form.name_en} onChange={(e) => setForm({ ...form, name_en: e.currentTarget.value })} />
        </FormDialog>
      )}
    </>
  );
}

function AgencyPanel({ agency, units }: { agency: Agency; units: Unit[] }) {
  const { t } = useTranslation("admin");
  const lang = useLang();
  const { grants } = useSession();
  const { data: record, error, refetch } = useQuery(agencyRecordQuery(agency.id));
  const may = holdsAt(grants, sections.units, agency.id, "");
  return (
    <Stack gap="lg">
      <div>
        <Title order={2}>{unitName(agency, lang)}</Title>
        <Text c="dimmed" size="sm">
          {t("agency.facts", { identifier: agency.identifier, units: flat(units, lang).length, people: agency.people })}
        </Text>
      </div>
      {may ? (
        <Group>
          <AddUnit agency={agency} parent="" />
        </Group>
      ) : (
        <Text c="dimmed">{t("whom.part")}</Text>
      )}
      {record ? (
        may && <AgencyForm key={record.id} record={record} domains={holdsAt(grants, ["system_admin"], agency.id, "")} />
      ) : error ? (
        <ErrorState compact code={codeOf(error)} title={t("agency.loadFailed")} onRetry={() => void refetch()} />
      ) : (
        <PanelSkeleton />
      )}
    </Stack>
  );
}

function AgencyForm({ record, domains }: { record: AgencyRecord; domains: boolean }) {
  const { t } = useTranslation("admin");
  const edits = useEdits(`agency.${record.id}`, {
    name: record.name, name_en: record.name_en, short_name: record.short_name, identifier: record.identifier,
    aliases: record.aliases.join("\n"), domains: record.domains.join("\n"),
  });
  const save = useAct(changeAgency);
  const { value, set, patch } = edits;
  const submit = () => {
    const { aliases, domains: mail, ...rest } = patch;
    save.mutate(
      { id: record.id, version: record.version, ...rest, ...(aliases !== undefined && { aliases: lines(aliases) }), ...(mail !== undefined && { domains: lines(mail) }) },
      {
        onSuccess: () => {
          edits.clear();
          toast.show({ message: t("saved") });
        },
      },
    );
  };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        if (edits.changed && value.name.trim()) submit();
      }}
    >
      <Stack gap="md">
        <Problem error={save.error} title={t("saveFailed")} />
        <div className={classes.fields}>
          <TextInput label={t("agency.name")} required maxLength={400} value={value.name} onChange={(e) => set({ name: e.currentTarget.value })} />
          <TextInput label={t("agency.nameEN")} maxLength={400} value={value.name_en} onChange={(e) => set({ name_en: e.currentTarget.value })} />
          <TextInput label={t("agency.short")} maxLength={400} value={value.short_name} onChange={(e) => set({ short_name: e.currentTarget.value })} />
          <TextInput label={t("agency.identifier")} description={t("agency.identifierHint")} required maxLength={35} value={value.identifier} onChange={(e) => set({ identifier: e.currentTarget.value })} />
          <Textarea label={t("agency.aliases")} description={t("agency.aliasesHint")} autosize minRows={1} value={value.aliases} onChange={(e) => set({ aliases: e.currentTarget.value })} />
          <Textarea
            label={t("agency.domains")} description={t(domains ? "agency.domainsHint" : "agency.domainsWhom")} autosize minRows={1} readOnly={!domains}
            value={value.domains} onChange={(e) => set({ domains: e.currentTarget.value })}
          />
        </div>
        <SaveBar changed={edits.changed} busy={save.isPending} onReset={edits.clear} />
      </Stack>
    </form>
  );
}
