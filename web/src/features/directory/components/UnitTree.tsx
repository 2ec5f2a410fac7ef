import { ActionIcon } from "@mantine/core";
import { IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { useLang } from "../../../lib/i18n";
import { shortAgency } from "../../../lib/names";
import { AgencySeal } from "../../../ui/AgencySeal";
import { EmptyState, ErrorState, ListSkeleton } from "../../../ui/States";
import { agenciesQuery, type Agency, type Unit } from "../api";
import { Count } from "./Count";
import classes from "./UnitTree.module.css";

/** Agencies and their units, each a link to its people. */
export function UnitTree() {
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
  return (
    <ul className={classes.agencies}>
      {agencies.map((a) => (
        <AgencyBranch key={a.id} agency={a} />
      ))}
    </ul>
  );
}

function AgencyBranch({ agency }: { agency: Agency }) {
  const { t } = useTranslation("directory");
  const lang = useLang();
  const [open, setOpen] = useState(true);
  const units = useId();
  const name = lang === "en" && agency.name_en ? agency.name_en : agency.name;
  const Chevron = open ? IconChevronDown : IconChevronRight;
  return (
    <li>
      <div className={classes.line}>
        <ActionIcon
          variant="subtle" color="gray" size="sm" aria-expanded={open} aria-controls={units}
          aria-label={t(open ? "tree.close" : "tree.open", { name })} onClick={() => setOpen(!open)}
        >
          <Chevron size={16} stroke={1.5} aria-hidden />
        </ActionIcon>
        <Link to="/directory" search={{ agency: agency.id } as never} className={classes.link}>
          <AgencySeal name={name} short={shortAgency(name)} />
          <Count people={agency.people} />
        </Link>
      </div>
      <div id={units} hidden={!open}>
        <Units units={agency.units} />
      </div>
    </li>
  );
}

function Units({ units }: { units: Unit[] }) {
  const lang = useLang();
  if (units.length === 0) return null;
  return (
    <ul className={classes.units}>
      {units.map((u) => (
        <li key={u.id}>
          <Link to="/directory" search={{ unit: u.id } as never} className={classes.link}>
            <span>{lang === "en" && u.name_en ? u.name_en : u.name}</span>
            <Count people={u.people} />
          </Link>
          <Units units={u.units} />
        </li>
      ))}
    </ul>
  );
}
