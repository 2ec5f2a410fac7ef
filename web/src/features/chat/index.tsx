import { useQuery } from "@tanstack/react-query";
import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { lazy } from "react";
import { conversationsQuery } from "../../api/conversations";
import type { FeatureRoutes } from "../../lib/feature";
import { unreadIn } from "./list";

const page = lazyRouteComponent(() => import("./components/ChatPage"), "ChatPage");

export const routes: FeatureRoutes = (parent) => [
  createRoute({ getParentRoute: () => parent, path: "/chat", component: page }),
  createRoute({ getParentRoute: () => parent, path: "/chat/$conversation", component: page }),
];

/** The socket, on every page. */
export const Background = lazy(() => import("./components/Background"));

export function useBadge(): number {
  return unreadIn(useQuery(conversationsQuery).data);
}
