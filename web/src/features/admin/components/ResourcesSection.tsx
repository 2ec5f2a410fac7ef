import { Button, Group, SegmentedControl, Text, TextInput, Title } from "@mantine/core";
import { IconDoor, IconPlus } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { unitsQuery, type Agency, type Unit } from "../../../api/directory";
import { useSession } from "../../../api/session";
import { useDraft } from "../../../lib/draft";
import { useLang } from "../../../lib/i18n";
import { toast } from "../../../ui/toast";
import { useAct } from "../api";
import { holdsAt, sections } from "../scope";
import { addResource, changeResource, deleteResource, resourcesQuery, type Resource } from "../things";
import { unitName } from "../units";
import type { SectionProps } from "./AdminPage";
import { FormDialog, offerUndo, Problem } from "./Dialogs";
import { UnitSelect } from "./fields";
import { ListPage } from "./ListPage";
import classes from "./Admin.module.css";

/** Meeting rooms and equipment that can be booked. */
export function ResourcesSection({ agency }: SectionProps) {
  const { t } = useTranslation("admin");
  const lang = useLang();
  const client = useQueryClient();
  const { data: resources, error, refetch } = useQuery(resourcesQuery(agency.id));
  const { data: units = [] } = useQuery(unitsQuery(agency.id));
  const [editing, setEditing] = useState<Resource | "new">();
  const remove = useAct((r: Resource) => deleteResource(r.id));
  const gone = (r: Resource) =>
    remove.mutate(r, {
      onSuccess: () =>
        offerUndo(client, t("resources.deleted", { name: r.name }), () =>
          addResource({ kind: r.kind, name: r.name, name_en: r.name_en, place: r.place, capacity: r.capacity, description: r.description, unit_id: r.unit_id }),
        ),
    });
  return (
    <>
      <ListPage
        title={t("section.resources")} description={t("resources.lead")} items={resources} error={error} failed={t("resources.failed")} onRetry={() => void refetch()}
        empty={t("resources.empty")} emptyHint={t("resources.emptyHint")} icon={<IconDoor size={32} stroke={1.5} />}
        actions={
          <Button leftSection={<IconPlus size={16} stroke={1.5} aria-hidden />} onClick={() => setEditing("new")}>
            {t("resources.add")}
          </Button>
        }
      >
        {(all) => (
          <>
            <Problem error={remove.error} title={t("resources.deleteFailed")} />
            {(["room", "equipment"] as const).map((kind) => {
              const those = all.filter((r) => r.kind === kind);
              return (
                those.length > 0 && (
                  <section key={kind} className={classes.part}>
                    <Title order={2} mb={4}>
                      {t(`resources.kinds.${kind}`)}
                    </Title>
                    <ul className={classes.lines} aria-label={t(`resources.kinds.${kind}`)}>
                      {those.map((r) => (
                        <li key={r.id}>
                          <div>
                            <Text fw={500}>{unitName(r, lang)}</Text>
                            <Text size="sm" c="dimmed">
                              {[r.place, r.capacity > 0 && t("resources.seats", { count: r.capacity }), r.unit, r.description].filter(Boolean).join(" · ")}
                            </Text>
                          </div>
                          <Group gap={4} wrap="nowrap">
                            <Button size="compact-sm" variant="subtle" color="gray" aria-label={t("changeOne", { name: r.name })} onClick={() => setEditing(r)}>
                              {t("change")}
                            </Button>
                            <Button size="compact-sm" variant="subtle" color="gray" aria-label={t("deleteOne", { name: r.name })} onClick={() => gone(r)}>
                              {t("delete")}
                            </Button>
                          </Group>
                        </li>
                      ))}
                    </ul>
                  </section>
                )
              );
            })}
          </>
        )}
      </ListPage>
      {editing && <Edit key={editing === "new" ? "new" : editing.id} resource={editing} agency={agency} units={units} onClose={() => setEditing(undefined)} />}
    </>
  );
}

const empty = { kind: "room" as Resource["kind"], name: "", name_en: "", place: "", capacity: "", description: "", unit_id: "" };

function Edit({ resource, agency, units, onClose }: { resource: Resource | "new"; agency: Agency; units: Unit[]; onClose: () => void }) {
  const { t } = useTranslation("admin");
  const { grants, person } = useSession();
  const old = resource === "new" ? undefined : resource;
  const [form, setForm, clear] = useDraft(
    `admin.${person.id}.resource.${old ? `${old.id}.${old.version}` : agency.id}`,
    old ? { kind: old.kind, name: old.name, name_en: old.name_en, place: old.place, capacity: old.capacity ? String(old.capacity) : "", description: old.description, unit_id: old.unit_id } : empty,
  );
  const set = (change: Partial<typeof empty>) => setForm({ ...form, ...change });
  const act = useAct((): Promise<Resource> => {
    const { kind, capacity, ...rest } = form;
    const body = { ...rest, name: form.name.trim(), capacity: Number(capacity) || 0 };
    return old ? changeResource({ id: old.id, version: old.version, ...body }) : addResource({ kind, ...body });
  });
  const submit = () =>
    act.mutate(undefined, {
      onSuccess: (r) => {
        clear();
        onClose();
        toast.show({ message: t(old ? "saved" : "resources.added", { name: r.name }) });
      },
    });
  const title = old ? t("changeOne", { name: old.name }) : t("resources.add");
  return (
    <FormDialog title={title} submit={old ? t("save") : t("resources.addNow")} failed={t("saveFailed")} error={act.error} busy={act.isPending} incomplete={!form.name.trim() || !form.unit_id} onSubmit={submit} onClose={onClose}>
      {!old && (
        <SegmentedControl
          aria-label={t("resources.kind")} value={form.kind} onChange={(kind) => set({ kind: kind as Resource["kind"] })}
          data={[
            { value: "room", label: t("resources.kindOne.room") },
            { value: "equipment", label: t("resources.kindOne.equipment") },
          ]}
        />
      )}
      <TextInput label={t("resources.name")} required data-autofocus maxLength={400} value={form.name} onChange={(e) => set({ name: e.currentTarget.value })} />
      <TextInput label={t("units.nameEN")} maxLength={400} value={form.name_en} onChange={(e) => set({ name_en: e.currentTarget.value })} />
      <UnitSelect label={t("resources.unit")} required units={units} value={form.unit_id} onChange={(unit_id) => set({ unit_id })} may={(path) => holdsAt(grants, sections.resources, agency.id, path)} />
      <TextInput label={t("resources.place")} maxLength={400} value={form.place} onChange={(e) => set({ place: e.currentTarget.value })} />
      {form.kind === "room" && <TextInput type="number" min={0} label={t("resources.capacity")} value={form.capacity} onChange={(e) => set({ capacity: e.currentTarget.value })} />}
      <TextInput label={t("groups.description")} maxLength={1000} value={form.description} onChange={(e) => set({ description: e.currentTarget.value })} />
    </FormDialog>
  );
}
