import { Outlet, useRouterState } from "@tanstack/react-router";
import { lazy, Suspense } from "react";
import { useTranslation } from "react-i18next";
import { currentPosition, useSession } from "../api/session";
import { PageSkeleton } from "../ui/States";
import { ConnectionBanner } from "./ConnectionBanner";
import classes from "./Frame.module.css";
import { Header } from "./Header";
import { Rail } from "./Rail";

const NotLent = lazy(() => import("./NotLent"));

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
          <Place />
        </Suspense>
      </main>
    </div>
  );
}

/** The page, unless the position that one works in was not lent for it: the server refuses all of it. */
function Place() {
  const position = currentPosition(useSession());
  // A meeting's own page stays: a call may be on.
  const part = useRouterState({ select: (s) => /^\/(?:(mail|chat)(?:\/|$)|(meetings)$)/.exec(s.location.pathname)?.slice(1).find(Boolean) }) as "mail" | "chat" | "meetings" | undefined;
  if (part && position?.delegated_by && !position.delegated_scopes?.includes(part)) return <NotLent part={part} giver={position.delegated_by} />;
  return <Outlet />;
}
