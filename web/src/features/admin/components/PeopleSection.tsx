import { ActionIcon, Button, Group, TextInput, Title } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { IconArrowLeft, IconSearch, IconUser, IconUserSearch, IconX } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { unitsQuery } from "../../../api/directory";
import { codeOf } from "../../../api/error";
import { useSession } from "../../../api/session";
import { paths } from "../../../lib/paths";
import { PersonLine } from "../../../ui/PersonLine";
import { EmptyState, ErrorState, ListSkeleton } from "../../../ui/States";
import { useRoving, VirtualRows } from "../../../ui/VirtualRows";
import { staffQuery } from "../people";
import { holds } from "../scope";
import type { SectionProps } from "./AdminPage";
import { UnitSelect } from "./fields";
import { NewPerson } from "./NewPerson";
import { PersonPanel } from "./PersonPanel";
import classes from "./Admin.module.css";

/** The agency's people, by unit or by name, and the one that is looked after. */
export function PeopleSection({ agency, id }: SectionProps) {
  const { t } = useTranslation("admin");
  const navigate = useNavigate();
  const { unit, q } = useSearch({ strict: false }) as { unit?: string; q?: string };
  const { data: units = [] } = useQuery(unitsQuery(agency.id));
  const [text, setText] = useState(q ?? "");
  const { grants } = useSession();
  const search = useDebouncedCallback((typed: string) => void navigate({ ...paths.admin("people", id, { agency: agency.id, unit, q: typed }), replace: true }), 200);
  const type = (typed: string) => {
    setText(typed);
    search(typed.trim());
  };
  return (
    <div className={classes.split} data-item={id ? "" : undefined}>
      <section className={classes.list} aria-label={t("people.list")}>
        <div className={classes.head}>
          <Group justify="space-between" wrap="nowrap">
            <Title order={1}>{t("section.people")}</Title>
            {holds(grants, ["system_admin", "agency_admin"], agency.id) && <NewPerson agency={agency} units={units} unit={unit} />}
          </Group>
          <TextInput
            type="search" aria-label={t("people.search")} placeholder={t("people.search")} value={text} leftSection={<IconSearch size={16} stroke={1.5} aria-hidden />}
            rightSection={
              text && (
                <ActionIcon variant="subtle" color="gray" aria-label={t("people.clear")} onClick={() => type("")}>
                  <IconX size={16} stroke={1.5} aria-hidden />
                </ActionIcon>
              )
            }
            onChange={(e) => type(e.currentTarget.value)}
          />
          <UnitSelect
            label={t("people.unit")} units={units} value={unit ?? ""} none={t("people.all")}
            onChange={(next) => void navigate(paths.admin("people", undefined, { agency: agency.id, unit: next }))}
          />
        </div>
        <Found agency={agency.id} unit={unit} q={q} id={id} />
      </section>
      <div className={classes.item}>
        <Button
          className={classes.toList} mb="sm" variant="subtle" color="gray" size="compact-md" leftSection={<IconArrowLeft size={16} stroke={1.5} aria-hidden />}
          renderRoot={(props) => <Link {...paths.admin("people", undefined, { agency: agency.id, unit, q })} {...props} />}
        >
          {t("people.list")}
        </Button>
        {id ? (
          <PersonPanel key={id} id={id} agency={agency} units={units} />
        ) : (
          <EmptyState title={t("people.none")} icon={<IconUser size={32} stroke={1.5} />}>
            {t("people.noneHint")}
          </EmptyState>
        )}
      </div>
    </div>
  );
}

function Found({ agency, unit, q, id }: { agency: string; unit?: string; q?: string; id?: string }) {
  const { t } = useTranslation("admin");
  const found = useInfiniteQuery(staffQuery({ agency, unit, q }));
  const people = found.data?.pages.flatMap((p) => p.people) ?? [];
  const roving = useRoving(people.length);
  if (found.error && !found.data) return <ErrorState code={codeOf(found.error)} title={t("people.failed")} onRetry={() => void found.refetch()} />;
  if (!found.data) {
    return (
      <div className={classes.head}>
        <ListSkeleton rows={6} marks />
      </div>
    );
  }
  if (people.length === 0) {
    return (
      <EmptyState title={t(q ? "people.nobody" : "people.empty")} icon={<IconUserSearch size={32} stroke={1.5} />}>
        {t(q ? "people.nobodyHint" : "people.emptyHint")}
      </EmptyState>
    );
  }
  return (
    <VirtualRows
      key={`${unit}.${q}`} label={t("people.list")} count={people.length} partial={found.hasNextPage} rowHeight={56} keyOf={(i) => people[i]?.id ?? ""} pinned={roving.active}
      onLast={(last) => void (found.hasNextPage && !found.isFetching && last >= people.length - 20 && found.fetchNextPage())} onKeyDown={(e) => void roving.onKey(e)}
    >
      {(i) => {
        const person = people[i];
        return (
          person && (
            <Link
              {...paths.admin("people", person.id, { agency, unit, q })} className={classes.row} aria-current={person.id === id ? "page" : undefined}
              tabIndex={roving.tabIndex(i)} onFocus={() => roving.reach(i)}
            >
              <PersonLine person={{ ...person, agency_name: "", agency_short: "" }} />
            </Link>
          )
        );
      }}
    </VirtualRows>
  );
}
