import { Badge, Button, Group, Select, Text } from "@mantine/core";
import { IconPlus, IconUserShield } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { unitsQuery, type Agency, type Unit } from "../../../api/directory";
import { findPeople } from "../../../api/people";
import { useSession } from "../../../api/session";
import { formatDate } from "../../../lib/dates";
import type { PersonView } from "../../../lib/names";
import { PersonLine } from "../../../ui/PersonLine";
import { PersonPicker } from "../../../ui/PersonPicker";
import { toast } from "../../../ui/toast";
import { useAct } from "../api";
import { holdsAt, sections, type Role } from "../scope";
import { addAdmin, adminsQuery, removeAdmin, type AdminGrant } from "../things";
import type { SectionProps } from "./AdminPage";
import { Confirm, FormDialog } from "./Dialogs";
import { UnitSelect } from "./fields";
import { ListPage } from "./ListPage";
import classes from "./Admin.module.css";

const roles: Role[] = ["agency_admin", "security_admin", "auditor", "records_officer", "system_admin"];

/** Who holds which administrative role where. */
export function AdminsSection({ agency }: SectionProps) {
  const { t } = useTranslation("admin");
  const { data: grants, error, refetch } = useQuery(adminsQuery(agency.id));
  const { data: units = [] } = useQuery(unitsQuery(agency.id));
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<AdminGrant>();
  const where = (g: AdminGrant) => (g.agency_id ? [g.unit, g.agency_name].filter(Boolean).join(" · ") : t("admins.everywhere"));
  return (
    <>
      <ListPage
        title={t("section.admins")} description={t("admins.lead")} items={grants} error={error} failed={t("admins.failed")} onRetry={() => void refetch()}
        empty={t("admins.empty")} emptyHint={t("admins.emptyHint")} icon={<IconUserShield size={32} stroke={1.5} />}
        actions={
          <Button leftSection={<IconPlus size={16} stroke={1.5} aria-hidden />} onClick={() => setAdding(true)}>
            {t("admins.add")}
          </Button>
        }
      >
        {(all) => (
          <ul className={classes.lines} aria-label={t("section.admins")}>
            {all.map((g) => (
              <li key={g.id}>
                <div>
                  <PersonLine person={g.person} />
                  <Group gap="xs" mt={4} ml={46}>
                    <Badge variant="default">{t(`role.${g.role}`)}</Badge>
                    <Text size="sm">{where(g)}</Text>
                    {g.disabled && (
                      <Badge variant="default" size="sm">
                        {t("account.state.disabled")}
                      </Badge>
                    )}
                    <Text size="sm" c="dimmed">
                      {g.granted_by ? t("admins.by", { name: g.granted_by, date: formatDate(g.granted_at) }) : formatDate(g.granted_at)}
                    </Text>
                  </Group>
                </div>
                {g.removable && (
                  <Button size="compact-sm" variant="subtle" color="gray" aria-label={t("admins.removeOne", { name: g.person.name, role: t(`role.${g.role}`) })} onClick={() => setRemoving(g)}>
                    {t("admins.remove")}
                  </Button>
                )}
              </li>
            ))}
          </ul>
        )}
      </ListPage>
      {adding && <Add agency={agency} units={units} onClose={() => setAdding(false)} />}
      {removing && <Remove grant={removing} where={where(removing)} onClose={() => setRemoving(undefined)} />}
    </>
  );
}

function Add({ agency, units, onClose }: { agency: Agency; units: Unit[]; onClose: () => void }) {
  const { t } = useTranslation("admin");
  const { grants, person: me } = useSession();
  const [people, setPeople] = useState<PersonView[]>([]);
  const [role, setRole] = useState<Role>("agency_admin");
  const [unit, setUnit] = useState("");
  const act = useAct(addAdmin);
  const system = grants.some((g) => g.role === "system_admin" && !g.agency_id);
  const whole = holdsAt(grants, sections.admins, agency.id, "");
  const submit = () =>
    act.mutate(
      { person_id: people[0]?.id ?? "", role, ...(role !== "system_admin" && { agency_id: agency.id, ...(unit && { unit_id: unit }) }) },
      {
        onSuccess: () => {
          onClose();
          toast.show({ message: t("admins.added", { name: people[0]?.name ?? "" }) });
        },
      },
    );
  return (
    <FormDialog
      title={t("admins.add")} submit={t("admins.addNow")} failed={t("admins.addFailed")} error={act.error} busy={act.isPending}
      incomplete={people.length === 0 || (!whole && !unit && role !== "system_admin")} onSubmit={submit} onClose={onClose}
    >
      <PersonPicker label={t("admins.person")} description={t("admins.personHint")} max={1} value={people} onChange={setPeople} search={findPeople} exclude={[me.id]} initialFocus />
      <Select
        label={t("admins.role")} description={t(`roleHint.${role}`)} allowDeselect={false} value={role} onChange={(next) => next && setRole(next as Role)}
        data={roles.filter((r) => r !== "system_admin" || system).map((r) => ({ value: r, label: t(`role.${r}`) }))}
      />
      {role !== "system_admin" && (
        <UnitSelect
          label={t("admins.where")} description={t("admins.whereHint")} units={units} value={unit} none={whole ? agency.name : undefined}
          may={(path) => holdsAt(grants, sections.admins, agency.id, path)} onChange={setUnit}
        />
      )}
    </FormDialog>
  );
}

function Remove({ grant, where, onClose }: { grant: AdminGrant; where: string; onClose: () => void }) {
  const { t } = useTranslation("admin");
  const act = useAct(removeAdmin);
  return (
    <Confirm
      title={t("admins.remove")} submit={t("admins.remove")} failed={t("admins.removeFailed")} error={act.error} busy={act.isPending} onClose={onClose}
      onSubmit={() =>
        act.mutate(grant.id, {
          onSuccess: () => {
            onClose();
            toast.show({ message: t("admins.removed", { name: grant.person.name }) });
          },
        })
      }
    >
      {t("admins.removeText", { name: grant.person.name, role: t(`role.${grant.role}`), where })}
    </Confirm>
  );
}
