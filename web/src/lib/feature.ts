import type { TFunction } from "i18next";
import type { ComponentType } from "react";
import type { AnyRoute } from "@tanstack/react-router";
import type { Place } from "./paths";

/**
 * What a feature's index.tsx exports (by these names). index.tsx is loaded with
 * the shell, so it stays small: pages and heavy parts are imported lazily.
 */
export interface FeatureModule {
  /** The feature's pages, inside the frame. */
  routes: FeatureRoutes;
  /** Pages without the rail and header (a full-window call). */
  bareRoutes?: FeatureRoutes;
  /** A hook: how many things wait, shown at the feature's place in the rail. */
  useBadge?: () => number;
  /** A hook: whether the feature has a place in the rail for who is signed in; without it, for everybody. What few see is not fetched ahead. */
  useShown?: () => boolean;
  /** Rendered once while somebody is signed in, on every page: a floating call, a socket's listeners. */
  Background?: ComponentType;
  /** How the durable notifications of a kind are shown. */
  notices?: Record<string, NoticeView>;
}

/** Makes the routes: createRoute({ getParentRoute: () => parent, path: "chat", … }). */
export type FeatureRoutes = (parent: AnyRoute) => AnyRoute[];

/** A notification in the page: a toast now, and a line behind the bell. */
export interface Notice {
  title: string;
  text?: string;
  /** Where it leads; none for a mere piece of news. */
  place?: Place;
  /** What going there is called on a button; "Open" unless said otherwise. */
  action?: string;
}

/** Turns a notification's body into words; null shows nothing. t is of the feature's namespace. */
export type NoticeView = (body: unknown, t: TFunction) => Notice | null;
