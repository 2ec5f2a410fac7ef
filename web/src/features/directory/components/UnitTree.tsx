import { ActionIcon, Button, TextInput } from "@mantine/core";
import { IconFilter, IconX } from "@tabler/icons-react";
import { useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { agenciesQuery, groupsQuery, unitsQuery } from "../../../api/directory";
import { codeOf } from "../../../api/error";
import { currentPosition, useSession } from "../../../api/session";
import { useLang } from "../../../lib/i18n";
import { shortAgency } from "../../../lib/names";
import { hrefOf, paths } from "../../../lib/paths";
import { AgencySeal } from "../../../ui/AgencySeal";
import { EmptyState, ErrorState, ListSkeleton } from "../../../ui/States";
import { TreeView } from "../../../ui/TreeView";
import type { Choice } from "../api";
import { setOpen, useTreeStore } from "../state";
import { agencyKey, groupKey, opensFor, rowsOf, unitKey, type Row, type Units } from "../tree";
import { Count } from "./Count";
import classes from "./UnitTree.module.css";

/** Agencies and their units, each a link to its people: one tree, of which only what is seen is drawn and only what is open is fetched. */
export function UnitTree({ choice }: { choice: Choice }) {
  const { t } = useTranslation("directory");
  const { data: agencies, error, refetch } = useQuery(agenciesQuery);
  if (error && !agencies) return <ErrorState compact code={codeOf(error)} title={t("tree.failed")} onRetry={() => void refetch()} />;
  if (!agencies) return <ListSkeleton rows={6} />;
  if (agencies.length === 0) {
    return (
      <EmptyState compact title={t("tree.empty")}>
        {t("tree.emptyHint")}
      </EmptyState>
    );
  }
  return <Known agencies={agencies} choice={choice} />;
}

type Agencies = Parameters<typeof opensFor>[0];

/** The lines to draw, with the units of every agency that is open. */
function useRows(agencies: Agencies, choice: Choice, filter: string): Row[] {
  const { t } = useTranslation("directory");
  const { agency } = choice;
  const lang = useLang();
  const touched = useTreeStore((s) => s.touched);
  const home = currentPosition(useSession());
  const homeAgency = agencies.length === 1 ? agencies[0]?.id : home?.agency_id;
  const wanted = agencies.map((a) => a.id).filter((id) => id === agency || id === homeAgency || touched[agencyKey(id)]);
  const answers = useQueries({ queries: wanted.map((id) => unitsQuery(id)) });
  const groups = useQueries({ queries: wanted.map((id) => groupsQuery(id)) });
  const groupsOf = (id: string) => groups[wanted.indexOf(id)]?.data ?? [];
  const unitsOf = (id: string): Units => {
    const answer = answers[wanted.indexOf(id)];
    return answer?.data ?? (answer?.isError ? "failed" : "wait");
  };
  const open = new Set([
    ...opensFor(agencies, { agency: homeAgency, unit: home?.unit_id }, homeAgency ? unitsOf(homeAgency) : "wait"),
    ...opensFor(agencies, choice, agency ? unitsOf(agency) : "wait"),
  ]);
  return rowsOf({ agencies, unitsOf, groupsOf, groupsName: t("tree.groups"), touched, open, filter, lang });
}

function Known({ agencies, choice }: { agencies: Agencies; choice: Choice }) {
  const { t } = useTranslation("directory");
  const navigate = useNavigate();
  const queryClient = useQueryClient();
  const [filter, setFilter] = useState("");
  const rows = useRows(agencies, choice, filter);
  const box = useRef<HTMLDivElement>(null);
  const chosen = choice.group ? groupKey(choice.group) : choice.unit ? unitKey(choice.unit) : choice.agency ? agencyKey(choice.agency) : "";
  const go = (row: Row) => {
    if (row.kind === "wait") return;
    if (row.kind === "failed") return void queryClient.refetchQueries(unitsQuery(row.agency.id));
    if (row.kind === "groups") return setOpen(row.key, !row.open);
    if (row.open === false) setOpen(row.key, true);
    void navigate(placeOf(row));
  };
  return (
    <div className={classes.box} ref={box}>
      <TextInput
        className={classes.filter} size="sm" type="search" aria-label={t("tree.filter")} placeholder={t("tree.filter")} value={filter}
        leftSection={<IconFilter size={16} stroke={1.5} aria-hidden />}
        rightSection={
          filter && (
            <ActionIcon variant="subtle" color="gray" aria-label={t("tree.filterClear")} onClick={() => setFilter("")}>
              <IconX size={16} stroke={1.5} aria-hidden />
            </ActionIcon>
          )
        }
        onChange={(e) => setFilter(e.currentTarget.value)}
        onKeyDown={(e) => {
          if (e.nativeEvent.isComposing) return;
          if (e.key === "ArrowDown") {
            e.preventDefault();
            box.current?.querySelector<HTMLElement>('[role=treeitem][tabindex="0"]')?.focus();
          } else if (e.key === "Escape" && filter) {
            e.preventDefault();
            setFilter("");
          }
        }}
      />
      <span role="status" className="mantine-visually-hidden">
        {filter && t("tree.found", { count: rows.filter((r) => r.kind === "agency").length })}
      </span>
      {rows.length === 0 ? (
        <EmptyState
          compact title={t("tree.none")}
          action={
            <Button size="xs" variant="default" onClick={() => setFilter("")}>
              {t("tree.filterClear")}
            </Button>
          }
        >
          {t("tree.noneHint")}
        </EmptyState>
      ) : (
        <TreeView
          label={t("tree.label")} rows={rows} chosen={chosen} top={useTreeStore.getState().top} onScroll={(top) => useTreeStore.setState({ top })}
          href={(row) => (row.kind === "agency" || row.kind === "unit" || row.kind === "group" ? hrefOf(placeOf(row)) : undefined)}
          onGo={go} onToggle={(row, open) => setOpen(row.key, open)}
        >
          {(row) => <Words row={row} />}
        </TreeView>
      )}
    </div>
  );
}

function placeOf(row: Row) {
  return paths.directory({ agency: row.agency.id, unit: row.unit?.id, group: row.group?.id });
}

/** An agency's name as it fits: the short one instead of one of which only the beginning would be seen. */
function shortName({ agency, name }: Row): string {
  const short = shortAgency(name);
  return short.length > 30 && name === agency.name && agency.short_name ? agency.short_name : short;
}

function Words({ row }: { row: Row }) {
  const { t } = useTranslation("directory");
  if (row.kind === "wait" || row.kind === "failed") return <span className={classes.quiet}>{t(row.kind === "wait" ? "tree.wait" : "tree.unitsFailed")}</span>;
  return (
    <>
      <span className={row.kind === "agency" ? classes.agency : classes.unit} title={row.name}>
        {row.kind === "agency" ? <AgencySeal name={row.name} short={shortName(row)} /> : row.name}
      </span>
      {row.people !== undefined && <Count people={row.people} />}
    </>
  );
}
