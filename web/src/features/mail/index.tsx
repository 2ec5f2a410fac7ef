import { useQuery } from "@tanstack/react-query";
import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import type { FeatureRoutes } from "../../lib/feature";
import { summaryQuery } from "./api";

const page = lazyRouteComponent(() => import("./components/MailPage"), "MailPage");
const compose = lazyRouteComponent(() => import("./components/ComposePage"), "ComposePage");

export const routes: FeatureRoutes = (parent) => [
  createRoute({ getParentRoute: () => parent, path: "/mail", component: page }),
  createRoute({ getParentRoute: () => parent, path: "/mail/compose", component: compose }),
  createRoute({ getParentRoute: () => parent, path: "/mail/$mailbox", component: page }),
  createRoute({ getParentRoute: () => parent, path: "/mail/$mailbox/$message", component: page }),
];

export function useBadge(): number {
  return useQuery(summaryQuery).data?.unread ?? 0;
}
