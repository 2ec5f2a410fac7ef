import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import type { FeatureRoutes } from "../../lib/feature";

/** The day's overview: the first page after sign-in. */
export const routes: FeatureRoutes = (parent) => [
  createRoute({
    getParentRoute: () => parent,
    path: "/",
    component: lazyRouteComponent(() => import("./TodayPage"), "TodayPage"),
  }),
];
