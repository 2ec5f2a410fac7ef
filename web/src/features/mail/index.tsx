import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { useEffect } from "react";
import { onOnline } from "../../api/connection";
import { onPushed } from "../../api/push";
import type { FeatureModule, FeatureRoutes } from "../../lib/feature";
import { paths } from "../../lib/paths";
import { refreshMail, summaryQuery } from "./summary";

const page = lazyRouteComponent(() => import("./components/MailPage"), "MailPage");
const compose = lazyRouteComponent(() => import("./components/ComposePage"), "ComposePage");

/** Mailboxes by their role ("inbox") or id, messages in them, and letters being written. */
export const routes: FeatureRoutes = (parent) => [
  createRoute({ getParentRoute: () => parent, path: "/mail", component: page }),
  createRoute({ getParentRoute: () => parent, path: "/mail/compose", component: compose }),
  createRoute({ getParentRoute: () => parent, path: "/mail/compose/$draft", component: compose }),
  createRoute({ getParentRoute: () => parent, path: "/mail/$mailbox", component: page }),
  createRoute({ getParentRoute: () => parent, path: "/mail/$mailbox/$message", component: page }),
];

export function useBadge(): number {
  return useQuery(summaryQuery).data?.unread ?? 0;
}

/** How long changes are gathered: a mail client that moves a hundred messages makes a hundred. */
const gather = 200;

/** Lists follow what happens elsewhere: mail that comes, another window, a mail client. */
export function Background() {
  const client = useQueryClient();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const refresh = () => {
      clearTimeout(timer);
      timer = setTimeout(() => void refreshMail(client), gather);
    };
    const stops = [onPushed(({ kind }) => void (kind === "mail.changed" && refresh())), onOnline(refresh)];
    return () => {
      for (const stop of stops) stop();
      clearTimeout(timer);
    };
  }, [client]);
  return null;
}

export const notices: FeatureModule["notices"] = {
  // Who looks at the mail sees it come.
  "mail.changed": (body, t) =>
    (body as { arrived?: boolean } | null)?.arrived && !location.pathname.startsWith("/mail") ? { title: t("arrived"), place: paths.mail() } : null,
};
