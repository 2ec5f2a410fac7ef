import type { NotificationData } from "@mantine/notifications";
import { i18n } from "../lib/i18n";

// The shell does not carry the toasts' code: it comes with the first one, or
// when the page has a moment (app/App.tsx), so that "offline" can still be said.
const load = () => import("@mantine/notifications");

/** A short word at the edge of the page: what has been done, or could not be, which says `color: "red"`. */
export const toast = {
  show: (data: NotificationData): void => void load().then((m) => m.notifications.show({ color: "gray", closeButtonProps: { "aria-label": i18n.t("ui:close") }, ...data })),
  hide: (id: string): void => void load().then((m) => m.notifications.hide(id)),
};
