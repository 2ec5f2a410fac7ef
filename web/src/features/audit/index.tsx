import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { useSession } from "../../api/session";
import type { FeatureRoutes } from "../../lib/feature";

const page = lazyRouteComponent(() => import("./components/AuditPage"), "AuditPage");

/** The audit log, for auditors: what was done, the proof that it stands as it was recorded, and its export. */
export const routes: FeatureRoutes = (parent) => [createRoute({ getParentRoute: () => parent, path: "/audit", component: page })];

/** Only auditors have a place for it in the rail. */
export function useShown(): boolean {
  return useSession().grants.some((g) => g.role === "auditor");
}
