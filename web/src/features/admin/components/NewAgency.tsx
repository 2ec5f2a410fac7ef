import { Button, Textarea, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useSession } from "../../../api/session";
import { useDraft } from "../../../lib/draft";
import { paths } from "../../../lib/paths";
import { toast } from "../../../ui/toast";
import { addAgency, useAct } from "../api";
import { lines } from "../edits";
import { FormDialog } from "./Dialogs";

const empty = { name: "", name_en: "", short_name: "", identifier: "", domains: "" };

/** The button that adds an agency, and its form. */
export function NewAgency() {
  const { t } = useTranslation("admin");
  const navigate = useNavigate();
  const [open, setOpen] = useState(false);
  const [form, setForm, clear] = useDraft(`admin.${useSession().person.id}.agency`, empty);
  const add = useAct(addAgency);
  const set = (change: Partial<typeof empty>) => setForm({ ...form, ...change });
  const submit = () =>
    add.mutate(
      { ...form, name: form.name.trim(), identifier: form.identifier.trim(), domains: lines(form.domains) },
      {
        onSuccess: (made) => {
          clear();
          setOpen(false);
          toast.show({ message: t("agency.added", { name: made.name }) });
          void navigate(paths.admin("units", undefined, { agency: made.id }));
        },
      },
    );
  return (
    <>
      <Button variant="default" leftSection={<IconPlus size={16} stroke={1.5} aria-hidden />} onClick={() => setOpen(true)}>
        {t("agency.add")}
      </Button>
      {open && (
        <FormDialog
          title={t("agency.add")} submit={t("agency.add")} failed={t("agency.addFailed")} error={add.error} busy={add.isPending}
          incomplete={!form.name.trim() || !form.identifier.trim()} onSubmit={submit} onClose={() => setOpen(false)}
        >
          <TextInput label={t("agency.name")} required data-autofocus maxLength={400} value={form.name} onChange={(e) => set({ name: e.currentTarget.value })} />
          <TextInput label={t("agency.identifier")} description={t("agency.identifierHint")} required maxLength={35} value={form.identifier} onChange={(e) => set({ identifier: e.currentTarget.value })} />
          <TextInput label={t("agency.short")} maxLength={400} value={form.short_name} onChange={(e) => set({ short_name: e.currentTarget.value })} />
          <TextInput label={t("agency.nameEN")} maxLength={400} value={form.name_en} onChange={(e) => set({ name_en: e.currentTarget.value })} />
          <Textarea label={t("agency.domains")} description={t("agency.domainsHint")} autosize minRows={1} value={form.domains} onChange={(e) => set({ domains: e.currentTarget.value })} />
        </FormDialog>
      )}
    </>
  );
}
