import { Button, SegmentedControl, Text, Textarea, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Agency, Unit } from "../../../api/directory";
import { useSession } from "../../../api/session";
import { useDraft } from "../../../lib/draft";
import { paths } from "../../../lib/paths";
import { toast } from "../../../ui/toast";
import { useAct } from "../api";
import { lines } from "../edits";
import { addGroup } from "../groups";
import { holdsAt, sections } from "../scope";
import { FormDialog } from "./Dialogs";
import { UnitSelect } from "./fields";
import { Preview } from "./GroupMembers";

const empty = { name: "", description: "", kind: "listed" as "listed" | "rule", unit: "", ruleUnit: "", titles: "" };

/** The button that adds a group, and its form. */
export function NewGroup({ agency, units }: { agency: Agency; units: Unit[] }) {
  const { t } = useTranslation("admin");
  const navigate = useNavigate();
  const session = useSession();
  const [open, setOpen] = useState(false);
  const [form, setForm, clear] = useDraft(`admin.${session.person.id}.group.${agency.id}`, empty);
  const add = useAct(addGroup);
  const set = (change: Partial<typeof empty>) => setForm({ ...form, ...change });
  const may = (path: string) => holdsAt(session.grants, sections.groups, agency.id, path);
  const submit = () =>
    add.mutate(
      {
        agency_id: agency.id, kind: form.kind, name: form.name.trim(), description: form.description.trim(), ...(form.unit && { unit_id: form.unit }),
        ...(form.kind === "rule" && { rule_titles: lines(form.titles), ...(form.ruleUnit && { rule_unit_id: form.ruleUnit }) }),
      },
      {
        onSuccess: (made) => {
          clear();
          setOpen(false);
          toast.show({ message: t("groups.added", { name: made.name }) });
          void navigate(paths.admin("groups", made.id, { agency: agency.id }));
        },
      },
    );
  return (
    <>
      <Button leftSection={<IconPlus size={16} stroke={1.5} aria-hidden />} onClick={() => setOpen(true)}>
        {t("groups.add")}
      </Button>
      {open && (
        <FormDialog
          title={t("groups.add")} submit={t("groups.addGroupNow")} failed={t("groups.addFailed")} error={add.error} busy={add.isPending} incomplete={!form.name.trim()}
          onSubmit={submit} onClose={() => setOpen(false)}
        >
          <TextInput label={t("groups.name")} required data-autofocus maxLength={400} value={form.name} onChange={(e) => set({ name: e.currentTarget.value })} />
          <TextInput label={t("groups.description")} maxLength={1000} value={form.description} onChange={(e) => set({ description: e.currentTarget.value })} />
          <UnitSelect label={t("groups.unit")} units={units} value={form.unit} none={may("") ? t("groups.unitAll") : undefined} may={may} onChange={(unit) => set({ unit })} />
          <SegmentedControl
            aria-label={t("groups.how")} value={form.kind} onChange={(kind) => set({ kind: kind as typeof form.kind })}
            data={[
              { value: "listed", label: t("groups.kind.listed") },
              { value: "rule", label: t("groups.kind.rule") },
            ]}
          />
          <Text size="sm" c="dimmed">
            {t(`groups.kindHint.${form.kind}`)}
          </Text>
          {form.kind === "rule" && (
            <>
              <UnitSelect label={t("groups.ruleUnit")} units={units} value={form.ruleUnit} none={t("groups.ruleAll")} onChange={(ruleUnit) => set({ ruleUnit })} />
              <TitlesField value={form.titles} onChange={(titles) => set({ titles })} />
              <Preview agency={agency.id} unit={form.ruleUnit} titles={lines(form.titles)} />
            </>
          )}
        </FormDialog>
      )}
    </>
  );
}

export function TitlesField({ value, onChange }: { value: string; onChange: (titles: string) => void }) {
  const { t } = useTranslation("admin");
  return <Textarea label={t("groups.titles")} description={t("groups.titlesHint")} autosize minRows={2} value={value} onChange={(e) => onChange(e.currentTarget.value)} />;
}
