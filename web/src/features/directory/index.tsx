import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import type { FeatureRoutes } from "../../lib/feature";

const page = lazyRouteComponent(() => import("./components/DirectoryPage"), "DirectoryPage");

/** Who is who: the agencies' units, the people in them, and one person's card. */
export const routes: FeatureRoutes = (parent) => [
  createRoute({ getParentRoute: () => parent, path: "/directory", component: page }),
  createRoute({ getParentRoute: () => parent, path: "/directory/$person", component: page }),
];
