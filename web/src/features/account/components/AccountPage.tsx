import { Link, useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { paths } from "../../../lib/paths";
import { Page } from "../../../ui/Page";
import { PageHeader } from "../../../ui/PageHeader";
import classes from "./AccountPage.module.css";
import { Delegations } from "./Delegations";
import { Profile } from "./Profile";
import { Security } from "./Security";
import { Sessions } from "./Sessions";

const sections = ["profile", "security", "sessions", "delegations"] as const;
type SectionName = (typeof sections)[number];

/** One's own account, a section at a time. */
export function AccountPage() {
  const { t } = useTranslation("account");
  const { section } = useParams({ strict: false }) as { section?: string };
  const at: SectionName = sections.find((s) => s === section) ?? "profile";
  return (
    <Page>
      <PageHeader title={t("title")} tab={`${t(`section.${at}.title`)} · ${t("title")}`} description={t(`section.${at}.lead`)} />
      <nav className={classes.sections} aria-label={t("sections")}>
        {sections.map((s) => (
          <Link key={s} {...paths.account(s === "profile" ? undefined : s)} className={classes.section} activeOptions={{ exact: true }}>
            {t(`section.${s}.title`)}
          </Link>
        ))}
      </nav>
      {at === "profile" && <Profile />}
      {at === "security" && <Security />}
      {at === "sessions" && <Sessions />}
      {at === "delegations" && <Delegations />}
    </Page>
  );
}
