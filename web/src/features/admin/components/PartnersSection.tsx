import { ActionIcon, Badge, Button, Group, Select, Text, TextInput, Title, Tooltip } from "@mantine/core";
import { IconHeartHandshake, IconPlus, IconX } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { agenciesQuery, type Agency } from "../../../api/directory";
import { findPeople } from "../../../api/people";
import { useSession } from "../../../api/session";
import { formatDate } from "../../../lib/dates";
import { useDraft } from "../../../lib/draft";
import { useLang } from "../../../lib/i18n";
import type { PersonView } from "../../../lib/names";
import { PersonPicker } from "../../../ui/PersonPicker";
import { toast } from "../../../ui/toast";
import { useAct } from "../api";
import { untilDay } from "../people";
import { addPartner, assignPartner, partnersQuery, removePartner, unassignPartner, type PartnerGrant } from "../things";
import { unitName } from "../units";
import type { SectionProps } from "./AdminPage";
import { FormDialog, offerUndo, Problem } from "./Dialogs";
import { DayField, foldedOptions } from "./fields";
import { ListPage } from "./ListPage";
import classes from "./Admin.module.css";

/** Roles that the agency gave to partners on what is its own, and those that it was given. */
export function PartnersSection({ agency }: SectionProps) {
  const { t } = useTranslation("admin");
  const client = useQueryClient();
  const { data: grants, error, refetch } = useQuery(partnersQuery(agency.id));
  const [adding, setAdding] = useState(false);
  const [assigning, setAssigning] = useState<PartnerGrant>();
  const remove = useAct((g: PartnerGrant) => removePartner(g.id));
  const take = useAct(unassignPartner);
  const gone = (g: PartnerGrant) =>
    remove.mutate(g, {
      onSuccess: () =>
        offerUndo(client, t("partners.removed", { name: g.object_name }), () =>
          addPartner({
            agency_id: g.agency_id, partner_id: g.partner_id, object_kind: g.object_kind, object_id: g.object_id, object_name: g.object_name, role: g.role, ...(g.until && { until: g.until }),
          }),
        ),
    });
  const out = (g: PartnerGrant, person: PersonView) =>
    take.mutate({ grant: g.id, entry: person.id }, { onSuccess: () => offerUndo(client, t("partners.unassigned", { name: person.name }), () => assignPartner({ grant: g.id, person_id: person.id })) });
  return (
    <>
      <ListPage
        title={t("section.partners")} description={t("partners.lead")} items={grants} error={error} failed={t("partners.failed")} onRetry={() => void refetch()}
        empty={t("partners.empty")} emptyHint={t("partners.emptyHint")} icon={<IconHeartHandshake size={32} stroke={1.5} />}
        actions={
          <Button leftSection={<IconPlus size={16} stroke={1.5} aria-hidden />} onClick={() => setAdding(true)}>
            {t("partners.add")}
          </Button>
        }
      >
        {(all) => (
          <>
            <Problem error={remove.error ?? take.error} title={t("saveFailed")} />
            {(["given", "received"] as const).map((way) => {
              const those = all.filter((g) => (g.agency_id === agency.id) === (way === "given"));
              return (
                those.length > 0 && (
                  <section key={way} className={classes.part}>
                    <Title order={2} mb={4}>
                      {t(`partners.${way}`)}
                    </Title>
                    <ul className={classes.lines} aria-label={t(`partners.${way}`)}>
                      {those.map((g) => (
                        <li key={g.id}>
                          <div>
                            <Group gap="xs">
                              <Text fw={500}>{g.object_name}</Text>
                              <Badge variant="default" size="sm">
                                {t(`partners.role.${g.role}`)}
                              </Badge>
                            </Group>
                            <Text size="sm" c="dimmed">
                              {[t(`partners.object.${g.object_kind}`), way === "given" ? g.partner_name : g.agency_name, g.until && t("partners.until", { date: formatDate(new Date(g.until).getTime() - 1) })]
                                .filter(Boolean)
                                .join(" · ")}
                            </Text>
                            <Group gap={4} mt={4}>
                              {g.people.map((p) => (
                                <Badge
                                  key={p.id} variant="default" size="lg"
                                  rightSection={
                                    g.may_assign && (
                                      <ActionIcon size="xs" variant="transparent" color="gray" aria-label={t("partners.unassign", { name: p.name })} onClick={() => out(g, p)}>
                                        <IconX size={12} stroke={1.5} aria-hidden />
                                      </ActionIcon>
                                    )
                                  }
                                >
                                  {p.name}
                                </Badge>
                              ))}
                              {g.may_assign && (
                                <Button size="compact-sm" variant="subtle" color="gray" onClick={() => setAssigning(g)}>
                                  {t("partners.assign")}
                                </Button>
                              )}
                            </Group>
                          </div>
                          {g.may_remove && (
                            <Tooltip label={t("partners.removeOne", { name: g.object_name, partner: g.partner_name })}>
                              <ActionIcon variant="subtle" color="gray" aria-label={t("partners.removeOne", { name: g.object_name, partner: g.partner_name })} onClick={() => gone(g)}>
                                <IconX size={16} stroke={1.5} aria-hidden />
                              </ActionIcon>
                            </Tooltip>
                          )}
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
      {adding && <Add agency={agency} onClose={() => setAdding(false)} />}
      {assigning && <Assign grant={assigning} onClose={() => setAssigning(undefined)} />}
    </>
  );
}

const kinds = ["meeting", "conversation", "dossier"] as const;
const roles = ["member", "chair", "guest", "recipient"] as const;
const empty = { object_kind: "meeting" as PartnerGrant["object_kind"], link: "", object_name: "", partner_id: "", role: "member" as PartnerGrant["role"], until: "" };

/** The id in a page's link, or what was typed when it is none: ".../meetings/abc" is "abc". */
function idIn(link: string): string {
  const path = link.trim().split(/[?#]/)[0] ?? "";
  return decodeURIComponent(path.split("/").filter(Boolean).pop() ?? "");
}

function Add({ agency, onClose }: { agency: Agency; onClose: () => void }) {
  const { t } = useTranslation("admin");
  const lang = useLang();
  const { data: agencies = [] } = useQuery(agenciesQuery);
  const [form, setForm, clear] = useDraft(`admin.${useSession().person.id}.partner.${agency.id}`, empty);
  const set = (change: Partial<typeof empty>) => setForm({ ...form, ...change });
  const act = useAct(addPartner);
  const submit = () => {
    const until = untilDay(form.until);
    act.mutate(
      { agency_id: agency.id, object_kind: form.object_kind, object_id: idIn(form.link), object_name: form.object_name.trim(), partner_id: form.partner_id, role: form.role, ...(until && { until }) },
      {
        onSuccess: () => {
          clear();
          onClose();
          toast.show({ message: t("partners.added") });
        },
      },
    );
  };
  return (
    <FormDialog
      title={t("partners.add")} submit={t("partners.addNow")} failed={t("partners.addFailed")} error={act.error} busy={act.isPending}
      incomplete={!idIn(form.link) || !form.object_name.trim() || !form.partner_id} onSubmit={submit} onClose={onClose}
    >
      <Select
        label={t("partners.partner")} required searchable filter={foldedOptions} limit={100} allowDeselect={false} nothingFoundMessage={t("agency.none")}
        data={agencies.filter((a) => a.id !== agency.id).map((a) => ({ value: a.id, label: unitName(a, lang) }))} value={form.partner_id || null} onChange={(next) => set({ partner_id: next ?? "" })}
      />
      <Select
        label={t("partners.kind")} allowDeselect={false} data={kinds.map((k) => ({ value: k, label: t(`partners.object.${k}`) }))} value={form.object_kind}
        onChange={(next) => next && set({ object_kind: next as typeof form.object_kind })}
      />
      <TextInput label={t("partners.link")} description={t("partners.linkHint")} required maxLength={2000} value={form.link} onChange={(e) => set({ link: e.currentTarget.value })} />
      <TextInput label={t("partners.name")} required maxLength={400} value={form.object_name} onChange={(e) => set({ object_name: e.currentTarget.value })} />
      <Select
        label={t("partners.roleLabel")} allowDeselect={false} data={roles.map((r) => ({ value: r, label: t(`partners.role.${r}`) }))} value={form.role}
        onChange={(next) => next && set({ role: next as typeof form.role })}
      />
      <DayField label={t("positions.until")} hint={t("positions.untilHint")} value={form.until} onChange={(until) => set({ until })} />
    </FormDialog>
  );
}

function Assign({ grant, onClose }: { grant: PartnerGrant; onClose: () => void }) {
  const { t } = useTranslation("admin");
  const [people, setPeople] = useState<PersonView[]>([]);
  const act = useAct(async (ids: string[]) => {
    for (const person_id of ids) await assignPartner({ grant: grant.id, person_id });
  });
  return (
    <FormDialog
      title={t("partners.assignTo", { name: grant.object_name })} submit={t("partners.assignNow")} failed={t("saveFailed")} error={act.error} busy={act.isPending} incomplete={people.length === 0}
      onSubmit={() => act.mutate(people.map((p) => p.id), { onSuccess: onClose })} onClose={onClose}
    >
      <PersonPicker
        label={t("partners.people")} description={t("partners.peopleHint", { name: grant.partner_name })} value={people} onChange={setPeople} search={findPeople} exclude={grant.people.map((p) => p.id)}
        initialFocus
      />
    </FormDialog>
  );
}
