import { ActionIcon, Button, Checkbox, Group, Select, Text, TextInput, Title, Tooltip } from "@mantine/core";
import { IconMailbox, IconPlus, IconX } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { groupsQuery, unitsQuery, type Agency, type Unit } from "../../../api/directory";
import { findPeople } from "../../../api/people";
import { useSession } from "../../../api/session";
import { useDraft } from "../../../lib/draft";
import { useLang } from "../../../lib/i18n";
import type { PersonView } from "../../../lib/names";
import { PersonPicker } from "../../../ui/PersonPicker";
import { toast } from "../../../ui/toast";
import { agencyRecordQuery, useAct } from "../api";
import { holdsAt, sections } from "../scope";
import { addMailbox, changeMailbox, deleteMailbox, mailboxesQuery, postsQuery, removeMailboxUser, setMailboxUser, type Mailbox, type MailboxUser } from "../things";
import { unitName } from "../units";
import type { SectionProps } from "./AdminPage";
import { Confirm, FormDialog, offerUndo, Problem } from "./Dialogs";
import { foldedOptions, UnitSelect } from "./fields";
import { ListPage } from "./ListPage";
import classes from "./Admin.module.css";

type Doing = { what: "edit"; mailbox?: Mailbox } | { what: "user"; mailbox: Mailbox } | { what: "delete"; mailbox: Mailbox };

/** The mailboxes of units, and which posts and groups use them. */
export function MailboxesSection({ agency }: SectionProps) {
  const { t } = useTranslation("admin");
  const lang = useLang();
  const { data: mailboxes, error, refetch } = useQuery(mailboxesQuery(agency.id));
  const { data: units = [] } = useQuery(unitsQuery(agency.id));
  const [doing, setDoing] = useState<Doing>();
  const close = () => setDoing(undefined);
  return (
    <>
      <ListPage
        title={t("section.mailboxes")} description={t("mailboxes.lead")} items={mailboxes} error={error} failed={t("mailboxes.failed")} onRetry={() => void refetch()}
        empty={t("mailboxes.empty")} emptyHint={t("mailboxes.emptyHint")} icon={<IconMailbox size={32} stroke={1.5} />}
        actions={
          <Button leftSection={<IconPlus size={16} stroke={1.5} aria-hidden />} onClick={() => setDoing({ what: "edit" })}>
            {t("mailboxes.add")}
          </Button>
        }
      >
        {(all) =>
          all.map((m) => (
            <section key={m.id} className={classes.part} aria-label={m.address}>
              <Group justify="space-between" align="flex-start" gap="xs">
                <div style={{ minWidth: 0 }}>
                  <Title order={2}>{unitName(m, lang)}</Title>
                  <Text size="sm" c="dimmed" style={{ overflowWrap: "anywhere" }}>
                    {m.address} · {m.unit}
                  </Text>
                </div>
                <Group gap={4}>
                  <Button size="compact-sm" variant="subtle" color="gray" aria-label={t("mailboxes.addUserTo", { name: m.name })} onClick={() => setDoing({ what: "user", mailbox: m })}>
                    {t("mailboxes.addUser")}
                  </Button>
                  <Button size="compact-sm" variant="subtle" color="gray" aria-label={t("changeOne", { name: m.name })} onClick={() => setDoing({ what: "edit", mailbox: m })}>
                    {t("change")}
                  </Button>
                  <Button size="compact-sm" variant="subtle" color="gray" aria-label={t("deleteOne", { name: m.name })} onClick={() => setDoing({ what: "delete", mailbox: m })}>
                    {t("delete")}
                  </Button>
                </Group>
              </Group>
              <Users mailbox={m} />
            </section>
          ))
        }
      </ListPage>
      {doing?.what === "edit" && <Edit mailbox={doing.mailbox} agency={agency} units={units} onClose={close} />}
      {doing?.what === "user" && <AddUser mailbox={doing.mailbox} onClose={close} />}
      {doing?.what === "delete" && <Delete mailbox={doing.mailbox} onClose={close} />}
    </>
  );
}

function Users({ mailbox }: { mailbox: Mailbox }) {
  const { t } = useTranslation("admin");
  const client = useQueryClient();
  const remove = useAct(removeMailboxUser);
  const body = (u: MailboxUser) => ({ mailbox: mailbox.id, may_read: u.may_read, may_send: u.may_send, ...(u.group_id ? { group_id: u.group_id } : { position_id: u.position_id }) });
  const take = (u: MailboxUser) =>
    remove.mutate(
      { mailbox: mailbox.id, entry: u.id },
      { onSuccess: () => offerUndo(client, t("mailboxes.userRemoved", { name: u.name }), () => setMailboxUser(body(u))) },
    );
  if (mailbox.users.length === 0) {
    return (
      <Text c="dimmed" mt="xs">
        {t("mailboxes.nobody")}
      </Text>
    );
  }
  return (
    <>
      <Problem error={remove.error} title={t("mailboxes.userFailed")} />
      <ul className={classes.lines} aria-label={t("mailboxes.users", { name: mailbox.name })}>
        {mailbox.users.map((u) => (
          <li key={u.id}>
            <div>
              <Text>{u.name}</Text>
              <Text size="sm" c="dimmed">
                {t(`mailboxes.may.${u.may_read ? (u.may_send ? "both" : "read") : "send"}`)}
              </Text>
            </div>
            <Tooltip label={t("mailboxes.removeUser", { name: u.name })}>
              <ActionIcon variant="subtle" color="gray" aria-label={t("mailboxes.removeUser", { name: u.name })} onClick={() => take(u)}>
                <IconX size={16} stroke={1.5} aria-hidden />
              </ActionIcon>
            </Tooltip>
          </li>
        ))}
      </ul>
    </>
  );
}

const empty = { name: "", name_en: "", address: "", unit_id: "" };

function Edit({ mailbox, agency, units, onClose }: { mailbox?: Mailbox; agency: Agency; units: Unit[]; onClose: () => void }) {
  const { t } = useTranslation("admin");
  const { grants, person } = useSession();
  const { data: record } = useQuery(agencyRecordQuery(agency.id));
  const [form, setForm, clear] = useDraft(
    `admin.${person.id}.mailbox.${mailbox ? `${mailbox.id}.${mailbox.version}` : agency.id}`,
    mailbox ? { name: mailbox.name, name_en: mailbox.name_en, address: mailbox.address, unit_id: mailbox.unit_id } : empty,
  );
  const set = (change: Partial<typeof empty>) => setForm({ ...form, ...change });
  const act = useAct((): Promise<Mailbox> => {
    const { address, ...rest } = form;
    return mailbox ? changeMailbox({ id: mailbox.id, version: mailbox.version, ...rest }) : addMailbox({ ...rest, address: address.trim() });
  });
  const submit = () =>
    act.mutate(undefined, {
      onSuccess: (m) => {
        clear();
        onClose();
        toast.show({ message: t(mailbox ? "saved" : "mailboxes.added", { name: m.name }) });
      },
    });
  return (
    <FormDialog
      title={mailbox ? t("changeOne", { name: mailbox.name }) : t("mailboxes.add")} submit={mailbox ? t("save") : t("mailboxes.addNow")} failed={t("saveFailed")} error={act.error}
      busy={act.isPending} incomplete={!form.name.trim() || !form.address.trim() || !form.unit_id} onSubmit={submit} onClose={onClose}
    >
      <TextInput label={t("mailboxes.name")} required data-autofocus maxLength={400} value={form.name} onChange={(e) => set({ name: e.currentTarget.value })} />
      <TextInput label={t("units.nameEN")} maxLength={400} value={form.name_en} onChange={(e) => set({ name_en: e.currentTarget.value })} />
      <TextInput
        label={t("mailboxes.address")} description={t("people.addressHint", { domains: record?.domains.join(", ") || "–" })} required type="email" maxLength={320} readOnly={!!mailbox}
        value={form.address} onChange={(e) => set({ address: e.currentTarget.value })}
      />
      <UnitSelect label={t("mailboxes.unit")} required units={units} value={form.unit_id} onChange={(unit_id) => set({ unit_id })} may={(path) => holdsAt(grants, sections.mailboxes, agency.id, path)} />
    </FormDialog>
  );
}

/** A post, found by who holds it, or a group. */
function AddUser({ mailbox, onClose }: { mailbox: Mailbox; onClose: () => void }) {
  const { t } = useTranslation("admin");
  const [people, setPeople] = useState<PersonView[]>([]);
  const [chosen, setChosen] = useState("");
  const [group, setGroup] = useState<string | null>(null);
  const [may, setMay] = useState({ may_read: true, may_send: true });
  const who = people[0]?.id ?? "";
  const { data: posts = [] } = useQuery({ ...postsQuery(who), enabled: !!who });
  const { data: groups = [] } = useQuery(groupsQuery(mailbox.agency_id));
  const post = posts.find((p) => p.id === chosen)?.id ?? posts[0]?.id;
  const act = useAct(setMailboxUser);
  const submit = () =>
    act.mutate(
      { mailbox: mailbox.id, ...may, ...(group ? { group_id: group } : { position_id: post ?? "" }) },
      {
        onSuccess: () => {
          onClose();
          toast.show({ message: t("saved") });
        },
      },
    );
  return (
    <FormDialog
      title={t("mailboxes.addUserTo", { name: mailbox.name })} submit={t("mailboxes.addNow")} failed={t("mailboxes.userFailed")} error={act.error} busy={act.isPending}
      incomplete={(!group && !post) || (!may.may_read && !may.may_send)} onSubmit={submit} onClose={onClose}
    >
      <PersonPicker label={t("mailboxes.person")} description={t("mailboxes.personHint")} max={1} value={people} search={findPeople} onChange={setPeople} initialFocus />
      {posts.length > 1 && (
        <Select
          label={t("mailboxes.post")} allowDeselect={false} value={post ?? null} onChange={(next) => setChosen(next ?? "")}
          data={posts.map((p) => ({ value: p.id, label: [p.title, p.unit].filter(Boolean).join(", ") }))}
        />
      )}
      {who === "" && groups.length > 0 && (
        <Select
          label={t("mailboxes.group")} searchable clearable clearButtonProps={{ "aria-label": t("clear") }} filter={foldedOptions} value={group} onChange={setGroup}
          data={groups.map((g) => ({ value: g.id, label: g.name }))}
        />
      )}
      <Checkbox label={t("mailboxes.mayRead")} checked={may.may_read} onChange={(e) => setMay({ ...may, may_read: e.currentTarget.checked })} />
      <Checkbox label={t("mailboxes.maySend")} checked={may.may_send} onChange={(e) => setMay({ ...may, may_send: e.currentTarget.checked })} />
    </FormDialog>
  );
}

function Delete({ mailbox, onClose }: { mailbox: Mailbox; onClose: () => void }) {
  const { t } = useTranslation("admin");
  const act = useAct(deleteMailbox);
  return (
    <Confirm
      title={t("deleteOne", { name: mailbox.name })} submit={t("delete")} failed={t("mailboxes.deleteFailed")} error={act.error} busy={act.isPending} onClose={onClose}
      onSubmit={() =>
        act.mutate(mailbox.id, {
          onSuccess: () => {
            onClose();
            toast.show({ message: t("mailboxes.deleted", { name: mailbox.name }) });
          },
        })
      }
    >
      {t("mailboxes.deleteText", { address: mailbox.address, count: mailbox.users.length })}
    </Confirm>
  );
}
