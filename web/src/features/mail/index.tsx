import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { useEffect } from "react";
import { onPushed } from "../../api/push";
import type { FeatureRoutes, NoticeView } from "../../lib/feature";
import { paths } from "../../lib/paths";
import { summaryQuery } from "./api";

const page = lazyRouteComponent(() => import("./components/MailPage"), "MailPage");
const compose = lazyRouteComponent(() => import("./components/ComposePage"), "ComposePage");

export const routes: FeatureRoutes = (parent) => [
  createRoute({ getParentRoute: () => parent, path: "/mail", component: page }),
  createRoute({ getParentRoute: () => parent, path: "/mail/compose", component: compose }),
  createRoute({ getParentRoute: () => parent, path: "/mail/$mailbox", component: page }),
  createRoute({ getParentRoute: () => parent, path: "/mail/$mailbox/$message", component: page }),
];

/** What the server says of the mailbox makes every page fresh. */
export function Background() {
  const client = useQueryClient();
  useEffect(() => onPushed(({ kind }) => void (kind === "mail.changed" && client.invalidateQueries({ queryKey: ["mail"] }))), [client]);
  return null;
}

export const notices: Record<string, NoticeView> = {
  "mail.changed": (body, t) => ((body as { arrived?: boolean } | null)?.arrived ? { title: t("arrived"), place: paths.mail() } : null),
};

export function useBadge(): number {
  return useQuery(summaryQuery).data?.unread ?? 0;
}
