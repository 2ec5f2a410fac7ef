import { Button, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Agency, Unit } from "../../../api/directory";
import { useSession } from "../../../api/session";
import { useDraft } from "../../../lib/draft";
import { nameParts } from "../../../lib/names";
import { paths } from "../../../lib/paths";
import { toast } from "../../../ui/toast";
import { agencyRecordQuery, useAct } from "../api";
import { addPerson } from "../people";
import { holdsAt, sections } from "../scope";
import { FormDialog } from "./Dialogs";
import { UnitSelect } from "./fields";

const empty = { name: "", title: "", unit: "", address: "", phone: "", mobile: "" };

/** The button that adds a person with a first position, and its form. */
export function NewPerson({ agency, units, unit = "" }: { agency: Agency; units: Unit[]; unit?: string }) {
  const { t } = useTranslation("admin");
  const navigate = useNavigate();
  const session = useSession();
  const [open, setOpen] = useState(false);
  const [form, setForm, clear] = useDraft(`admin.${session.person.id}.person.${agency.id}`, empty);
  const { data: record } = useQuery({ ...agencyRecordQuery(agency.id), enabled: open });
  const add = useAct(addPerson);
  const set = (change: Partial<typeof empty>) => setForm({ ...form, ...change });
  const at = form.unit || unit;
  const parts = nameParts(form.name);
  const submit = () =>
    add.mutate(
      {
        family_name: parts.family, middle_name: parts.middle, given_name: parts.given, phone: form.phone.trim(), mobile: form.mobile.trim(),
        ...(form.address.trim() && { address: form.address.trim() }), position: { unit_id: at, title: form.title.trim(), kind: "main" },
      },
      {
        onSuccess: (made) => {
          clear();
          setOpen(false);
          toast.show({ message: t("people.added", { name: made.name }) });
          void navigate(paths.admin("people", made.id, { agency: agency.id, unit: unit || undefined }));
        },
      },
    );
  return (
    <>
      <Button leftSection={<IconPlus size={16} stroke={1.5} aria-hidden />} onClick={() => setOpen(true)}>
        {t("people.add")}
      </Button>
      {open && (
        <FormDialog
          title={t("people.add")} submit={t("people.addNow")} failed={t("people.addFailed")} error={add.error} busy={add.isPending}
          incomplete={!parts.given || !form.title.trim() || !at} onSubmit={submit} onClose={() => setOpen(false)}
        >
          <TextInput
            label={t("people.name")} required data-autofocus maxLength={200} value={form.name} onChange={(e) => set({ name: e.currentTarget.value })}
            description={form.name.trim() ? t("people.split", { family: parts.family || "–", middle: parts.middle || "–", given: parts.given }) : t("people.nameHint")}
          />
          <UnitSelect label={t("people.inUnit")} required units={units} value={at} onChange={(next) => set({ unit: next })} may={(path) => holdsAt(session.grants, sections.units, agency.id, path)} />
          <TextInput label={t("people.title")} required maxLength={200} value={form.title} onChange={(e) => set({ title: e.currentTarget.value })} />
          <TextInput
            label={t("people.address")} description={t("people.addressHint", { domains: record?.domains.join(", ") || "–" })} type="email" maxLength={320}
            value={form.address} onChange={(e) => set({ address: e.currentTarget.value })}
          />
          <TextInput label={t("people.phone")} type="tel" maxLength={40} value={form.phone} onChange={(e) => set({ phone: e.currentTarget.value })} />
          <TextInput label={t("people.mobile")} type="tel" maxLength={40} value={form.mobile} onChange={(e) => set({ mobile: e.currentTarget.value })} />
        </FormDialog>
      )}
    </>
  );
}
