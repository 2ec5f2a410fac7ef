import { ActionIcon, Button, TextInput } from "@mantine/core";
import { IconChevronDown, IconChevronRight, IconFilter, IconX } from "@tabler/icons-react";
import { useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState, type KeyboardEvent, type MouseEvent } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { currentPosition, useSession } from "../../../api/session";
import { useLang } from "../../../lib/i18n";
import { shortAgency } from "../../../lib/names";
import { hrefOf, paths } from "../../../lib/paths";
import { AgencySeal } from "../../../ui/AgencySeal";
import { EmptyState, ErrorState, ListSkeleton } from "../../../ui/States";
import { useRoving, VirtualRows } from "../../../ui/VirtualRows";
import { agenciesQuery, unitsQuery, type Choice } from "../api";
import { setOpen, useTreeStore } from "../state";
import { agencyKey, opensFor, parentOf, rowsOf, startsWith, unitKey, type Row, type Units } from "../tree";
import { Count } from "./Count";
import classes from "./UnitTree.module.css";

const rowHeight = 34;

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
function useRows(agencies: Agencies, { agency, unit }: Choice, filter: string): Row[] {
  const lang = useLang();
  const touched = useTreeStore((s) => s.touched);
  const home = currentPosition(useSession());
  const homeAgency = agencies.length === 1 ? agencies[0]?.id : home?.agency_id;
  const wanted = agencies.map((a) => a.id).filter((id) => id === agency || id === homeAgency || touched[agencyKey(id)]);
  const answers = useQueries({ queries: wanted.map((id) => unitsQuery(id)) });
  const unitsOf = (id: string): Units => {
    const answer = answers[wanted.indexOf(id)];
    return answer?.data ?? (answer?.isError ? "failed" : "wait");
  };
  const open = new Set([
    ...opensFor(agencies, homeAgency, home?.unit_id, homeAgency ? unitsOf(homeAgency) : "wait"),
    ...opensFor(agencies, agency, unit, agency ? unitsOf(agency) : "wait"),
  ]);
  return rowsOf({ agencies, unitsOf, touched, open, filter, lang });
}

function Known({ agencies, choice }: { agencies: Agencies; choice: Choice }) {
  const { t } = useTranslation("directory");
  const navigate = useNavigate();
  const queryClient = useQueryClient();
  const [filter, setFilter] = useState("");
  const rows = useRows(agencies, choice, filter);
  const roving = useRoving(rows.length);
  const box = useRef<HTMLDivElement>(null);
  const [top] = useState(() => useTreeStore.getState().top);
  const chosen = choice.unit ? unitKey(choice.unit) : choice.agency ? agencyKey(choice.agency) : "";
  const chosenAt = rows.findIndex((r) => r.key === chosen);

  // What the address names is where arrows begin, and it is brought into sight once it is known.
  const { reach } = roving;
  const shown = useRef("");
  useEffect(() => {
    if (chosenAt < 0 || shown.current === chosen) return;
    shown.current = chosen;
    reach(chosenAt);
    requestAnimationFrame(() => box.current?.querySelector(`[data-row="${chosenAt}"]`)?.scrollIntoView({ block: "nearest" }));
  }, [chosen, chosenAt, reach]);

  const go = (row: Row) => {
    if (row.kind === "wait") return;
    if (row.kind === "failed") return void queryClient.refetchQueries(unitsQuery(row.agency.id));
    if (row.open === false) setOpen(row.key, true);
    void navigate(placeOf(row));
  };
  const typed = useRef({ text: "", at: 0 });
  const onKeyDown = (e: KeyboardEvent<HTMLUListElement>) => {
    const row = rows[roving.active];
    if (!row || roving.onKey(e) || e.ctrlKey || e.altKey || e.metaKey) return;
    if (e.key === "ArrowRight") {
      e.preventDefault();
      if (row.open === false) setOpen(row.key, true);
      else if (row.open) roving.focus(e.currentTarget, roving.active + 1);
    } else if (e.key === "ArrowLeft") {
      e.preventDefault();
      if (row.open) setOpen(row.key, false);
      else roving.focus(e.currentTarget, parentOf(rows, roving.active));
    } else if (e.key.length === 1 && !e.nativeEvent.isComposing) {
      const goesOn = e.timeStamp - typed.current.at < 700;
      e.preventDefault(); // a space would scroll
      typed.current = { text: (goesOn ? typed.current.text : "") + e.key, at: e.timeStamp };
      roving.focus(e.currentTarget, startsWith(rows, roving.active - (goesOn ? 1 : 0), typed.current.text));
    }
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
          const list = box.current?.querySelector("[role=tree]");
          if (e.key === "ArrowDown" && list && rows.length > 0) {
            e.preventDefault();
            roving.focus(list, 0);
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
        <VirtualRows
          role="tree" label={t("tree.label")} count={rows.length} rowHeight={rowHeight} keyOf={(i) => rows[i]?.key ?? ""} pinned={roving.active}
          top={top} onScroll={(at) => useTreeStore.setState({ top: at })} onKeyDown={onKeyDown}
        >
          {(i) => {
            const row = rows[i];
            return row && <Line row={row} chosen={row.key === chosen} tabIndex={roving.tabIndex(i)} onFocus={() => reach(i)} onGo={() => go(row)} />;
          }}
        </VirtualRows>
      )}
    </div>
  );
}

function placeOf(row: Row) {
  return paths.directory({ agency: row.agency.id, unit: row.unit?.id });
}

/** Only clicks that stay in this window are ours. */
const elsewhere = (e: MouseEvent) => e.ctrlKey || e.metaKey || e.shiftKey || e.button !== 0;

interface LineProps {
  row: Row;
  chosen: boolean;
  tabIndex: number;
  onFocus: () => void;
  onGo: () => void;
}

function Line({ row, chosen, tabIndex, onFocus, onGo }: LineProps) {
  const { t } = useTranslation("directory");
  const item = {
    onFocus, className: classes.row, style: { paddingLeft: 4 + (row.level - 1) * 16 },
    "aria-level": row.level, "aria-setsize": row.of, "aria-posinset": row.at,
  } as const;
  if (row.kind === "wait" || row.kind === "failed") {
    return (
      <span role="treeitem" tabIndex={tabIndex} aria-selected={false} {...item} onClick={onGo} onKeyDown={(e) => e.key === "Enter" && onGo()}>
        <span className={classes.chevron} />
        <span className={classes.quiet}>{t(row.kind === "wait" ? "tree.wait" : "tree.unitsFailed")}</span>
      </span>
    );
  }
  const Chevron = row.open ? IconChevronDown : IconChevronRight;
  return (
    <a
      role="treeitem" tabIndex={tabIndex} aria-selected={chosen} {...item} href={hrefOf(placeOf(row))} aria-expanded={row.open} aria-current={chosen ? "page" : undefined}
      onClick={(e) => {
        if (elsewhere(e)) return;
        e.preventDefault();
        // The sign before the name is for the mouse; the keyboard has Left and Right.
        if (row.open !== undefined && (e.target as Element).closest("[data-sign]")) setOpen(row.key, !row.open);
        else onGo();
      }}
    >
      <span className={classes.chevron} data-sign aria-hidden>
        {row.open !== undefined && <Chevron size={16} stroke={1.5} />}
      </span>
      <span className={row.kind === "agency" ? classes.agency : classes.unit} title={row.name}>
        {row.kind === "agency" ? <AgencySeal name={row.name} short={shortAgency(row.name)} /> : row.name}
      </span>
      <Count people={row.people} />
    </a>
  );
}
