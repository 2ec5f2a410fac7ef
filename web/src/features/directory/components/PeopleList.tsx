import { Button } from "@mantine/core";
import { IconUserSearch } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { useLang } from "../../../lib/i18n";
import { PersonLine } from "../../../ui/PersonLine";
import { EmptyState, ErrorState, ListSkeleton } from "../../../ui/States";
import { agenciesQuery, peopleOf, type Agency, type Choice, type Unit } from "../api";
import classes from "./DirectoryPage.module.css";

/** The people of what is chosen; arrows move between them. */
export function PeopleList({ choice }: { choice: Choice }) {
  const { t } = useTranslation("directory");
  const found = useInfiniteQuery(peopleOf(choice));
  const place = usePlaceName(choice);
  const people = found.data?.pages.flatMap((p) => p.people) ?? [];

  if (found.error && !found.data) {
    return <ErrorState code={codeOf(found.error)} title={t("list.failed")} onRetry={() => void found.refetch()} />;
  }
  if (!found.data) {
    return (
      <div className={classes.head}>
        <ListSkeleton rows={8} marks />
      </div>
    );
  }
  const heading = choice.q ? t("list.found", { count: people.length, q: choice.q }) : place || t("list.colleagues");
  return (
    <div className={classes.body}>
      <div className={classes.status} role="status">
        {heading}
      </div>
      {people.length === 0 ? (
        <EmptyState title={t(choice.q ? "list.none" : "list.empty")} icon={<IconUserSearch size={32} stroke={1.5} />}>
          {t(choice.q ? "list.noneHint" : "list.emptyHint")}
        </EmptyState>
      ) : (
        <ul className={classes.rows}>
          {people.map((p) => (
            <li key={p.id}>
              <Link
                to="/directory/$person" params={{ person: p.id } as never} search={kept(choice) as never}
                className={classes.row} data-person onKeyDown={move}
              >
                <PersonLine person={p} />
              </Link>
            </li>
          ))}
        </ul>
      )}
      {found.hasNextPage && (
        <div className={classes.more}>
          <Button variant="default" loading={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
            {t("list.more")}
          </Button>
        </div>
      )}
    </div>
  );
}

/** What of the choice is set, for the address. */
export function kept(choice: Choice): Record<string, string> {
  return Object.fromEntries(Object.entries(choice).filter((e): e is [string, string] => !!e[1]));
}

function move(e: KeyboardEvent<HTMLElement>) {
  if (e.key !== "ArrowDown" && e.key !== "ArrowUp") return;
  const row = e.currentTarget.parentElement;
  const next = e.key === "ArrowDown" ? row?.nextElementSibling : row?.previousElementSibling;
  const target = next?.querySelector<HTMLElement>("[data-person]");
  e.preventDefault();
  if (target) target.focus();
  else if (e.key === "ArrowUp") e.currentTarget.closest("section")?.querySelector("input")?.focus();
}

function usePlaceName({ unit, agency }: Choice): string {
  const lang = useLang();
  const { data: agencies } = useQuery(agenciesQuery);
  const named = (p: Agency | Unit) => (lang === "en" && p.name_en ? p.name_en : p.name);
  for (const a of agencies ?? []) {
    if (!unit && a.id === agency) return named(a);
    const trail = unit ? trailTo(a.units, unit) : undefined;
    if (trail) return [a, ...trail].map(named).join(" › ");
  }
  return "";
}

function trailTo(units: Unit[], id: string): Unit[] | undefined {
  for (const u of units) {
    if (u.id === id) return [u];
    const below = trailTo(u.units, id);
    if (below) return [u, ...below];
  }
  return undefined;
}
