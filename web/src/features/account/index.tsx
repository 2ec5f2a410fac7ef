import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { lazy } from "react";
import type { FeatureRoutes } from "../../lib/feature";

const page = lazyRouteComponent(() => import("./components/AccountPage"), "AccountPage");

/** One's own account: who the directory says one is, how one signs in, where one is signed in, whom one's work is lent to. */
export const routes: FeatureRoutes = (parent) => [
  createRoute({ getParentRoute: () => parent, path: "/account", component: page }),
  createRoute({ getParentRoute: () => parent, path: "/account/$section", component: page }),
];

/** The lock over every page, and the clock that knows when. */
export const Background = lazy(() => import("./components/Background"));
