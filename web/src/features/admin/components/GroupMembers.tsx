import { ActionIcon, Button, Group as Row, Text, Title, Tooltip } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconUserMinus } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Group } from "../../../api/directory";
import { codeOf } from "../../../api/error";
import { findPeople } from "../../../api/people";
import type { PersonView } from "../../../lib/names";
import { PersonLine } from "../../../ui/PersonLine";
import { PersonPicker } from "../../../ui/PersonPicker";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import { useAct } from "../api";
import { addMember, membersQuery, previewQuery, removeMember, type Member } from "../groups";
import { offerUndo, Problem } from "./Dialogs";
import classes from "./Admin.module.css";

/** Who is in a group now; of a listed one, adding and taking out. */
export function Members({ group }: { group: Group }) {
  const { t } = useTranslation("admin");
  const client = useQueryClient();
  const found = useInfiniteQuery(membersQuery(group.id));
  const [people, setPeople] = useState<PersonView[]>([]);
  const add = useAct(async (ids: string[]) => {
    for (const person_id of ids) await addMember({ group: group.id, person_id });
  });
  const remove = useAct(removeMember);
  const members = found.data?.pages.flatMap((p) => p.members) ?? [];
  const listed = group.kind === "listed" && group.may_edit;
  const take = (m: Member) =>
    remove.mutate(
      { group: group.id, entry: m.entry_id },
      {
        onSuccess: () =>
          offerUndo(client, t("groups.removed", { name: m.person.name }), () => addMember({ group: group.id, ...(m.position_id ? { position_id: m.position_id } : { person_id: m.person.id }) })),
      },
    );
  return (
    <>
      <Title order={3} mb="xs">
        {t("groups.members")}
      </Title>
      <Problem error={add.error ?? remove.error} title={t("groups.memberFailed")} />
      {listed && (
        <form
          onSubmit={(e) => {
            e.preventDefault();
            if (people.length > 0) add.mutate(people.map((p) => p.id), { onSuccess: () => setPeople([]) });
          }}
        >
          <Row align="flex-end" wrap="nowrap" gap="xs">
            <div style={{ flex: 1, minWidth: 0 }}>
              <PersonPicker label={t("groups.addMembers")} value={people} onChange={setPeople} search={findPeople} exclude={members.map((m) => m.person.id)} />
            </div>
            <Button type="submit" loading={add.isPending} disabled={people.length === 0}>
              {t("groups.addNow")}
            </Button>
          </Row>
        </form>
      )}
      {group.kind === "rule" && (
        <Text c="dimmed" size="sm">
          {t("groups.byRule")}
        </Text>
      )}
      {found.error && !found.data ? (
        <ErrorState compact code={codeOf(found.error)} title={t("groups.membersFailed")} onRetry={() => void found.refetch()} />
      ) : !found.data ? (
        <ListSkeleton rows={3} marks />
      ) : members.length === 0 ? (
        <Text c="dimmed" mt="sm">
          {t("groups.nobody")}
        </Text>
      ) : (
        <ul className={classes.lines}>
          {members.map((m) => (
            <li key={m.entry_id || m.person.id}>
              <PersonLine person={m.person} />
              {listed && m.entry_id && (
                <Tooltip label={t("groups.remove", { name: m.person.name })}>
                  <ActionIcon variant="subtle" color="gray" aria-label={t("groups.remove", { name: m.person.name })} onClick={() => take(m)}>
                    <IconUserMinus size={18} stroke={1.5} aria-hidden />
                  </ActionIcon>
                </Tooltip>
              )}
            </li>
          ))}
        </ul>
      )}
      {found.hasNextPage && (
        <Button variant="default" mt="xs" loading={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
          {t("more")}
        </Button>
      )}
    </>
  );
}

/** Who would be in by a rule, as it is typed. */
export function Preview({ agency, unit, titles }: { agency: string; unit: string; titles: string[] }) {
  const { t } = useTranslation("admin");
  const [settled] = useDebouncedValue(titles.join("\n"), 300);
  const { data, error } = useQuery(previewQuery(agency, unit, settled ? settled.split("\n") : []));
  const most = 20;
  return (
    <section aria-label={t("groups.preview")}>
      <Text fw={500} role="status">
        {data ? t(data.whole ? "groups.previewCount" : "groups.previewAtLeast", { count: data.people.length }) : t(error ? "groups.previewFailed" : "groups.previewing")}
      </Text>
      {data && (
        <Text size="sm" c="dimmed">
          {data.people.slice(0, most).map((p) => `${p.name} (${p.title})`).join(", ")}
          {data.people.length > most && ` ${t("groups.andMore", { count: data.people.length - most })}`}
        </Text>
      )}
    </section>
  );
}
