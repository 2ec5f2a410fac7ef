import { useQuery } from "@tanstack/react-query";
import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { lazy } from "react";
import { conversationsQuery } from "../../api/conversations";
import type { FeatureRoutes, NoticeView } from "../../lib/feature";
import { paths } from "../../lib/paths";
import { unreadIn } from "./list";

const page = lazyRouteComponent(() => import("./components/ChatPage"), "ChatPage");

export const routes: FeatureRoutes = (parent) => [
  createRoute({ getParentRoute: () => parent, path: "/chat", component: page }),
  createRoute({ getParentRoute: () => parent, path: "/chat/$conversation", component: page }),
];

/** The socket, on every page. */
export const Background = lazy(() => import("./components/Background"));

export const notices: Record<string, NoticeView> = {
  "chat.added": (body, t) => {
    const { conversation, title, by } = body as { conversation: string; title: string; by: string };
    return { title: t("added.title", { title }), text: by ? t("added.by", { name: by }) : undefined, place: paths.conversation(conversation) };
  },
};

export function useBadge(): number {
  return unreadIn(useQuery(conversationsQuery).data);
}
