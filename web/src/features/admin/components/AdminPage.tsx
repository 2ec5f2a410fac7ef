import { Button, Select, Skeleton } from "@mantine/core";
import {
  IconArrowLeft, IconBuildingCommunity, IconDoor, IconFileImport, IconHeartHandshake, IconMailbox, IconShieldLock, IconUserShield, IconUsers, IconUsersGroup,
  type Icon,
} from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, type ComponentType, type LazyExoticComponent } from "react";
import { useTranslation } from "react-i18next";
import { agenciesQuery, type Agency } from "../../../api/directory";
import { codeOf } from "../../../api/error";
import { currentPosition, useSession } from "../../../api/session";
import { useLang } from "../../../lib/i18n";
import { paths } from "../../../lib/paths";
import { usePageTitle } from "../../../lib/title";
import { Page } from "../../../ui/Page";
import { EmptyState, ErrorState, PageSkeleton } from "../../../ui/States";
import { agenciesOf, holds, isSection, sectionNames, sections, type Section } from "../scope";
import { unitName } from "../units";
import { foldedOptions } from "./fields";
import { NewAgency } from "./NewAgency";
import classes from "./Admin.module.css";

export interface SectionProps {
  agency: Agency;
  /** The thing in the section that the address names. */
  id?: string;
}

const pages: Record<Section, LazyExoticComponent<ComponentType<SectionProps>>> = {
  units: lazy(() => import("./UnitsSection").then((m) => ({ default: m.UnitsSection }))),
  people: lazy(() => import("./PeopleSection").then((m) => ({ default: m.PeopleSection }))),
  groups: lazy(() => import("./GroupsSection").then((m) => ({ default: m.GroupsSection }))),
  resources: lazy(() => import("./ResourcesSection").then((m) => ({ default: m.ResourcesSection }))),
  mailboxes: lazy(() => import("./MailboxesSection").then((m) => ({ default: m.MailboxesSection }))),
  imports: lazy(() => import("./ImportsSection").then((m) => ({ default: m.ImportsSection }))),
  partners: lazy(() => import("./PartnersSection").then((m) => ({ default: m.PartnersSection }))),
  admins: lazy(() => import("./AdminsSection").then((m) => ({ default: m.AdminsSection }))),
  policies: lazy(() => import("./PolicySection").then((m) => ({ default: m.PolicySection }))),
};

const icons: Record<Section, Icon> = {
  units: IconBuildingCommunity, people: IconUsers, groups: IconUsersGroup, resources: IconDoor, mailboxes: IconMailbox,
  imports: IconFileImport, partners: IconHeartHandshake, admins: IconUserShield, policies: IconShieldLock,
};

/** The administration of one agency at a time: its sections, and the one that is open. */
export function AdminPage() {
  const { t } = useTranslation("admin");
  const lang = useLang();
  const navigate = useNavigate();
  const session = useSession();
  const { section: named, id } = useParams({ strict: false }) as { section?: string; id?: string };
  const { agency: wanted } = useSearch({ strict: false }) as { agency?: string };
  const { data: agencies, error, refetch } = useQuery(agenciesQuery);
  const mine = agenciesOf(session.grants);
  usePageTitle(isSection(named) ? `${t(`section.${named}`)} · ${t("title")}` : t("title"));

  if (mine !== "all" && mine.size === 0) return <NoPermission whom={t("whom.none")} />;
  if (error && !agencies) return <ErrorState code={codeOf(error)} title={t("failed")} onRetry={() => void refetch()} />;
  if (!agencies) return <PageSkeleton />;
  const offered = agencies.filter((a) => mine === "all" || mine.has(a.id));
  const home = currentPosition(session)?.agency_id;
  const agency = offered.find((a) => a.id === wanted) ?? offered.find((a) => a.id === home) ?? offered[0];
  const system = session.grants.some((g) => g.role === "system_admin" && !g.agency_id);
  if (!agency) return <NoAgency system={system} />;

  const open = sectionNames.filter((s) => holds(session.grants, sections[s], agency.id));
  const section = isSection(named) ? named : open[0];
  const Section = section && pages[section];
  return (
    <Page full>
      <div className={classes.layout} data-section={named ? "" : undefined}>
        <nav className={classes.menu} aria-label={t("title")}>
          <div className={classes.menuTitle}>{t("title")}</div>
          <Select
            className={classes.agency} aria-label={t("agency.choose")} searchable allowDeselect={false} comboboxProps={{ width: 320, position: "bottom-start" }}
            nothingFoundMessage={t("agency.none")} data={offered.map((a) => ({ value: a.id, label: unitName(a, lang) }))} filter={foldedOptions} limit={100}
            value={agency.id} onChange={(next) => next && void navigate(paths.admin(section, undefined, { agency: next }))}
          />
          <ul className={classes.sections}>
            {open.map((s) => {
              const Mark = icons[s];
              return (
                <li key={s}>
                  <Link {...paths.admin(s, undefined, { agency: agency.id })} className={classes.section} aria-current={s === section ? "page" : undefined}>
                    <Mark size={18} stroke={1.5} aria-hidden />
                    {t(`section.${s}`)}
                  </Link>
                </li>
              );
            })}
          </ul>
          {system && <NewAgency />}
        </nav>
        <div className={classes.content}>
          <Button
            className={classes.back} variant="subtle" color="gray" size="compact-md" leftSection={<IconArrowLeft size={16} stroke={1.5} aria-hidden />}
            renderRoot={(props) => <Link {...paths.admin(undefined, undefined, { agency: agency.id })} {...props} />}
          >
            {t("title")}
          </Button>
          {section && Section && open.includes(section) ? (
            <Suspense fallback={<PageSkeleton />}>
              <Section key={agency.id} agency={agency} id={id} />
            </Suspense>
          ) : (
            <NoPermission whom={t(section === "policies" ? "whom.security" : "whom.agency", { agency: unitName(agency, lang) })} />
          )}
        </div>
      </div>
    </Page>
  );
}

/** Which role is missing, and who gives it. */
export function NoPermission({ whom }: { whom: string }) {
  const { t } = useTranslation("admin");
  return (
    <EmptyState page title={t("forbidden")} icon={<IconUserShield size={40} stroke={1.5} />}>
      {whom}
    </EmptyState>
  );
}

function NoAgency({ system }: { system: boolean }) {
  const { t } = useTranslation("admin");
  return (
    <EmptyState page title={t("agency.empty")} icon={<IconBuildingCommunity size={40} stroke={1.5} />} action={system && <NewAgency />}>
      {t("agency.emptyHint")}
    </EmptyState>
  );
}

/** What stands in a panel's place while it loads. */
export function PanelSkeleton() {
  return <Skeleton height={240} radius="md" />;
}
