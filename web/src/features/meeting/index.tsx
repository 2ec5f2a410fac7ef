import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import type { TFunction } from "i18next";
import { lazy } from "react";
import { formatDateTime } from "../../lib/dates";
import type { FeatureRoutes, Notice, NoticeView } from "../../lib/feature";
import { paths } from "../../lib/paths";

/** Meetings: the list, and behind a meeting's link its door and the call. */
export const routes: FeatureRoutes = (parent) => [
  createRoute({
    getParentRoute: () => parent,
    path: "/meetings",
    component: lazyRouteComponent(() => import("./components/MeetingsPage"), "MeetingsPage"),
  }),
];

/** A call has the whole window. */
export const bareRoutes: FeatureRoutes = (parent) => [
  createRoute({
    getParentRoute: () => parent,
    path: "/meetings/$id",
    component: lazyRouteComponent(() => import("./components/MeetingPage"), "MeetingPage"),
  }),
];

/** A call that runs on while one works elsewhere; new invitations in the list. */
export const Background = lazy(() => import("./components/Background"));

export const notices: Record<string, NoticeView> = { "meeting.invited": viewInvited };

/** What the server says of an invitation; anything else is not shown. */
function viewInvited(body: unknown, t: TFunction): Notice | null {
  if (typeof body !== "object" || body === null) return null;
  const of = (from: unknown, key: string): string => {
    const value: unknown = typeof from === "object" && from !== null ? Reflect.get(from, key) : "";
    return typeof value === "string" ? value : "";
  };
  const id = of(body, "meeting_id");
  if (!id) return null;
  const title = of(body, "title");
  const starts = of(body, "starts_at");
  return {
    title: t("invited.title", { name: of(Reflect.get(body, "by"), "name") }),
    text: starts ? t("invited.textAt", { title, when: formatDateTime(starts) }) : t("invited.text", { title }),
    place: paths.meeting(id),
    action: starts ? t("invited.see") : t("door.join"),
  };
}
