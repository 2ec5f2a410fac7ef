import { IconUserSearch } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type RefObject } from "react";
import { useTranslation } from "react-i18next";
import { agenciesQuery, groupsQuery, trailTo, unitsQuery, type Agency, type Group, type Unit } from "../../../api/directory";
import { codeOf } from "../../../api/error";
import { currentPosition, useSession } from "../../../api/session";
import { useLang } from "../../../lib/i18n";
import { PersonLine } from "../../../ui/PersonLine";
import { EmptyState, ErrorState, ListSkeleton } from "../../../ui/States";
import { useRoving, VirtualRows } from "../../../ui/VirtualRows";
import { pageSize, peopleOf, type Choice, type Person } from "../api";
import { keepTop, topOf } from "../state";
import classes from "./DirectoryPage.module.css";

/** The people of what is chosen; arrows move between them, and more come as one gets near the end. */
export function PeopleList({ choice, field }: { choice: Choice; field: RefObject<HTMLInputElement | null> }) {
  const { t } = useTranslation("directory");
  const found = useInfiniteQuery(peopleOf(choice));
  const place = usePlaceName(choice);
  const home = currentPosition(useSession())?.agency_id;
  const people = found.data?.pages.flatMap((p) => p.people) ?? [];

  if (found.error && !found.data) {
    return <ErrorState code={codeOf(found.error)} title={t("list.failed")} onRetry={() => void found.refetch()} />;
  }
  if (!found.data) {
    return (
      <div className={classes.loading}>
        <ListSkeleton rows={8} marks />
      </div>
    );
  }
  const heading = choice.q ? t(people.length < pageSize ? "list.found" : "list.foundMany", { count: people.length, q: choice.q }) : place || t(choice.unit || choice.group || !home ? "list.everybody" : "list.colleagues");
  const more = { any: found.hasNextPage, failed: found.isFetchNextPageError, fetch: () => void (found.isFetching || found.fetchNextPage()) };
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
        <Rows key={JSON.stringify(kept(choice))} people={people} choice={choice} field={field} more={more} />
      )}
      {more.failed && <ErrorState compact code={codeOf(found.error)} title={t("list.failed")} onRetry={() => void found.fetchNextPage()} />}
    </div>
  );
}

interface RowsProps {
  people: Person[];
  choice: Choice;
  field: RefObject<HTMLInputElement | null>;
  more: { any: boolean; failed: boolean; fetch: () => void };
}

function Rows({ people, choice, field, more }: RowsProps) {
  const { t } = useTranslation("directory");
  const roving = useRoving(people.length);
  const search = kept(choice);
  const key = JSON.stringify(search);
  const { any, failed, fetch } = more;
  const onLast = (last: number) => void (any && !failed && last >= people.length - 10 && fetch());
  return (
    <VirtualRows
      label={t("list.people")} count={people.length} partial={any} rowHeight={56} keyOf={(i) => people[i]?.id ?? ""} pinned={roving.active}
      top={topOf(key)} onScroll={(top) => keepTop(key, top)} onLast={onLast}
      onKeyDown={(e) => {
        if (e.key === "ArrowUp" && roving.active === 0) {
          e.preventDefault();
          field.current?.focus();
        } else roving.onKey(e);
      }}
    >
      {(i) => {
        const person = people[i];
        return (
          person && (
            <Link
              to="/directory/$person" params={{ person: person.id } as never} search={search as never}
              className={classes.row} data-person tabIndex={roving.tabIndex(i)} onFocus={() => roving.reach(i)}
            >
              <PersonLine person={person} />
            </Link>
          )
        );
      }}
    </VirtualRows>
  );
}

/** What of the choice is set, for the address. */
export function kept(choice: Choice): Record<string, string> {
  return Object.fromEntries(Object.entries(choice).filter((e): e is [string, string] => !!e[1]));
}

function usePlaceName({ unit, agency, group }: Choice): string {
  const lang = useLang();
  const { data: agencies } = useQuery(agenciesQuery);
  const { data: units } = useQuery({ ...unitsQuery(agency ?? ""), enabled: !!agency && !!unit });
  const { data: groups } = useQuery({ ...groupsQuery(agency ?? ""), enabled: !!agency && !!group });
  const named = (p: Agency | Unit | Group) => (lang === "en" && p.name_en ? p.name_en : p.name);
  const of = agencies?.find((a) => a.id === agency);
  if (!of) return "";
  const trail = unit && units ? trailTo(units, unit) : undefined;
  const one = groups?.find((g) => g.id === group);
  return [of, ...(one ? [one] : (trail ?? []))].map(named).join(" › ");
}
