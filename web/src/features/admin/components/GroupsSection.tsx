import { Badge, Button, Group as Row, Stack, Text, TextInput, Title } from "@mantine/core";
import { IconArrowLeft, IconTrash, IconUsersGroup } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { groupsQuery, unitsQuery, type Agency, type Group, type Unit } from "../../../api/directory";
import { codeOf } from "../../../api/error";
import { findPeople } from "../../../api/people";
import { useLang } from "../../../lib/i18n";
import { matches } from "../../../lib/fold";
import type { PersonView } from "../../../lib/names";
import { paths } from "../../../lib/paths";
import { PersonPicker } from "../../../ui/PersonPicker";
import { EmptyState, ErrorState, ListSkeleton } from "../../../ui/States";
import { toast } from "../../../ui/toast";
import { useRoving, VirtualRows } from "../../../ui/VirtualRows";
import { useAct } from "../api";
import { lines, useEdits } from "../edits";
import { changeGroup, deleteGroup } from "../groups";
import { unitName } from "../units";
import type { SectionProps } from "./AdminPage";
import { Confirm, Problem } from "./Dialogs";
import { UnitSelect } from "./fields";
import { Members, Preview } from "./GroupMembers";
import { NewGroup, TitlesField } from "./NewGroup";
import { SaveBar } from "./SaveBar";
import classes from "./Admin.module.css";

/** The agency's groups, and the one that is looked after. */
export function GroupsSection({ agency, id }: SectionProps) {
  const { t } = useTranslation("admin");
  const lang = useLang();
  const { data: groups, error, refetch } = useQuery(groupsQuery(agency.id));
  const { data: units = [] } = useQuery(unitsQuery(agency.id));
  const [text, setText] = useState("");
  const shown = groups?.filter((g) => !text.trim() || matches(text, g.name, g.name_en)) ?? [];
  const roving = useRoving(shown.length);
  const group = groups?.find((g) => g.id === id);
  return (
    <div className={classes.split} data-item={id ? "" : undefined}>
      <section className={classes.list} aria-label={t("section.groups")}>
        <div className={classes.head}>
          <Row justify="space-between" wrap="nowrap">
            <Title order={1}>{t("section.groups")}</Title>
            <NewGroup agency={agency} units={units} />
          </Row>
          {(groups?.length ?? 0) > 8 && <TextInput type="search" aria-label={t("groups.search")} placeholder={t("groups.search")} value={text} onChange={(e) => setText(e.currentTarget.value)} />}
        </div>
        {error && !groups ? (
          <ErrorState code={codeOf(error)} title={t("groups.failed")} onRetry={() => void refetch()} />
        ) : !groups ? (
          <div className={classes.head}>
            <ListSkeleton rows={5} />
          </div>
        ) : groups.length === 0 ? (
          <EmptyState title={t("groups.empty")} icon={<IconUsersGroup size={32} stroke={1.5} />}>
            {t("groups.emptyHint")}
          </EmptyState>
        ) : (
          <VirtualRows label={t("section.groups")} count={shown.length} rowHeight={56} keyOf={(i) => shown[i]?.id ?? ""} pinned={roving.active} onKeyDown={(e) => void roving.onKey(e)}>
            {(i) => {
              const g = shown[i];
              return (
                g && (
                  <Link
                    {...paths.admin("groups", g.id, { agency: agency.id })} className={classes.row} aria-current={g.id === id ? "page" : undefined}
                    tabIndex={roving.tabIndex(i)} onFocus={() => roving.reach(i)}
                  >
                    <span className={classes.unit}>
                      {unitName(g, lang)}
                      <Text component="span" display="block" size="sm" c="dimmed" truncate>
                        {t(`groups.kind.${g.kind}`)}
                        {g.description && ` · ${g.description}`}
                      </Text>
                    </span>
                  </Link>
                )
              );
            }}
          </VirtualRows>
        )}
      </section>
      <div className={classes.item}>
        <Button
          className={classes.toList} mb="sm" variant="subtle" color="gray" size="compact-md" leftSection={<IconArrowLeft size={16} stroke={1.5} aria-hidden />}
          renderRoot={(props) => <Link {...paths.admin("groups", undefined, { agency: agency.id })} {...props} />}
        >
          {t("section.groups")}
        </Button>
        {group ? (
          <Panel key={group.id} group={group} agency={agency} units={units} />
        ) : (
          groups && (
            <EmptyState title={t(id ? "groups.gone" : "groups.none")} icon={<IconUsersGroup size={32} stroke={1.5} />}>
              {t("groups.noneHint")}
            </EmptyState>
          )
        )}
      </div>
    </div>
  );
}

function Panel({ group, agency, units }: { group: Group; agency: Agency; units: Unit[] }) {
  const { t } = useTranslation("admin");
  const lang = useLang();
  const navigate = useNavigate();
  const [deleting, setDeleting] = useState(false);
  const remove = useAct(deleteGroup);
  return (
    <article aria-label={group.name}>
      <Row justify="space-between" align="flex-start" mb="md">
        <div>
          <Row gap="xs">
            <Title order={2}>{unitName(group, lang)}</Title>
            <Badge variant="default" size="sm">
              {t(`groups.kind.${group.kind}`)}
            </Badge>
          </Row>
        </div>
        {group.may_edit && (
          <Button variant="default" size="xs" leftSection={<IconTrash size={16} stroke={1.5} aria-hidden />} onClick={() => setDeleting(true)}>
            {t("groups.delete")}
          </Button>
        )}
      </Row>
      {group.may_edit && <GroupForm group={group} agency={agency} units={units} />}
      <section className={classes.part} aria-label={t("groups.members")}>
        <Members group={group} />
      </section>
      {deleting && (
        <Confirm
          title={t("groups.delete")} submit={t("groups.delete")} failed={t("groups.deleteFailed")} error={remove.error} busy={remove.isPending} onClose={() => setDeleting(false)}
          onSubmit={() =>
            // This panel may be gone before the answer is dealt with, and callbacks of mutate with it.
            void remove.mutateAsync(group.id).then(
              () => {
                toast.show({ message: t("groups.deleted", { name: group.name }) });
                return navigate(paths.admin("groups", undefined, { agency: agency.id }));
              },
              () => undefined, // remove.error says it
            )
          }
        >
          {t("groups.deleteText", { name: group.name })}
        </Confirm>
      )}
    </article>
  );
}

function GroupForm({ group, agency, units }: { group: Group; agency: Agency; units: Unit[] }) {
  const { t } = useTranslation("admin");
  const edits = useEdits(`group.${group.id}`, {
    name: group.name, name_en: group.name_en, description: group.description, owners: group.owners as { id: string; name: string }[],
    rule_unit_id: group.rule_unit_id, rule_titles: group.rule_titles.join("\n"),
  });
  const { value, set, patch } = edits;
  const save = useAct(changeGroup);
  const owners: PersonView[] = value.owners.map((o) => ({ ...o, given_name: "" }));
  const submit = () => {
    const { owners: chosen, rule_titles: titles, ...rest } = patch;
    save.mutate(
      {
        id: group.id, version: group.version, ...rest, ...(chosen && { owner_ids: chosen.map((o) => o.id) }), ...(titles !== undefined && { rule_titles: lines(titles) }),
      },
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
      <Stack gap="md" mb="md">
        <Problem error={save.error} title={t("saveFailed")} />
        <div className={classes.fields}>
          <TextInput label={t("groups.name")} required maxLength={400} value={value.name} onChange={(e) => set({ name: e.currentTarget.value })} />
          <TextInput label={t("groups.nameEN")} maxLength={400} value={value.name_en} onChange={(e) => set({ name_en: e.currentTarget.value })} />
        </div>
        <TextInput label={t("groups.description")} maxLength={1000} value={value.description} onChange={(e) => set({ description: e.currentTarget.value })} />
        <PersonPicker
          label={t("groups.owners")} description={t("groups.ownersHint")} value={owners} search={findPeople}
          onChange={(people) => set({ owners: people.map(({ id, name }) => ({ id, name })) })}
        />
        {group.kind === "rule" && (
          <>
            <UnitSelect label={t("groups.ruleUnit")} units={units} value={value.rule_unit_id} none={t("groups.ruleAll")} onChange={(rule_unit_id) => set({ rule_unit_id })} />
            <TitlesField value={value.rule_titles} onChange={(rule_titles) => set({ rule_titles })} />
            {(patch.rule_titles !== undefined || patch.rule_unit_id !== undefined) && <Preview agency={agency.id} unit={value.rule_unit_id} titles={lines(value.rule_titles)} />}
          </>
        )}
        <SaveBar changed={edits.changed} busy={save.isPending} onReset={edits.clear} />
      </Stack>
    </form>
  );
}
