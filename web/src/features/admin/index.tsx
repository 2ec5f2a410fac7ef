import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { useSession } from "../../api/session";
import type { FeatureRoutes } from "../../lib/feature";

const page = lazyRouteComponent(() => import("./components/AdminPage"), "AdminPage");

/** The administration: a section ("people"), and a thing in it. */
export const routes: FeatureRoutes = (parent) => [
  createRoute({ getParentRoute: () => parent, path: "/admin", component: page }),
  createRoute({ getParentRoute: () => parent, path: "/admin/$section", component: page }),
  createRoute({ getParentRoute: () => parent, path: "/admin/$section/$id", component: page }),
];

/** For who administers anything. */
export function useShown(): boolean {
  const { grants } = useSession();
  return grants.some((g) => g.role === "system_admin" || g.role === "agency_admin" || g.role === "security_admin");
}
