import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { paths } from "../lib/paths";
import { AccountMenu } from "./AccountMenu";
import { Bell } from "./Bell";
import { Brand } from "./Brand";
import classes from "./Frame.module.css";
import { LanguageToggle, SchemeToggle } from "./Preferences";
import { ActivePosition } from "./ActivePosition";

/** Who one works as, what is new, how the page looks, and the way out. */
export function Header() {
  const { t } = useTranslation("app");
  return (
    <header className={classes.header}>
      <Link {...paths.today()} className={classes.brand} aria-label={t("brand_home")}>
        <Brand />
      </Link>
      <div className={classes.position}>
        <ActivePosition />
      </div>
      <div className={classes.tools}>
        <Bell />
        <LanguageToggle />
        <SchemeToggle />
        <AccountMenu />
      </div>
    </header>
  );
}
