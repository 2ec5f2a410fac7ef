import { Outlet } from "@tanstack/react-router";
import { Suspense } from "react";
import { useTranslation } from "react-i18next";
import { PageSkeleton } from "../ui/States";
import { ConnectionBanner } from "./ConnectionBanner";
import classes from "./Frame.module.css";
import { Header } from "./Header";
import { Rail } from "./Rail";

/** The rail, the header, and the page beside them. */
export function Frame() {
  const { t } = useTranslation("app");
  return (
    <div className={classes.frame}>
      <a className={classes.skip} href="#main">
        {t("skip")}
      </a>
      <Header />
      <Rail />
      <main id="main" tabIndex={-1} className={classes.main}>
        <ConnectionBanner />
        <Suspense fallback={<PageSkeleton />}>
          <Outlet />
        </Suspense>
      </main>
    </div>
  );
}
