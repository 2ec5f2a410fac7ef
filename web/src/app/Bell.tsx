import { ActionIcon } from "@mantine/core";
import { IconBell } from "@tabler/icons-react";
import { lazy, Suspense, useEffect } from "react";
import { useTranslation } from "react-i18next";
import { useNotices } from "../lib/notices";
import { Flyout } from "./Flyout";
import classes from "./Bell.module.css";

// As the account's inside: not for the first paint, and there before it is opened.
const load = () => import("./BellPanel");
const BellPanel = lazy(load);

/** How much has happened since, and what. */
export function Bell() {
  const { t } = useTranslation("app");
  const list = useNotices((s) => s.list);
  const readAll = useNotices((s) => s.readAll);
  const unread = list.filter((n) => !n.read).length;
  useEffect(() => void load().catch(() => {}), []);
  const label = unread > 0 ? t("bell.unread", { count: unread }) : t("bell.label");
  return (
    <Flyout
      label={t("bell.label")}
      width={360}
      onClose={readAll}
      button={(props) => (
        <ActionIcon {...props} variant="subtle" color="gray" size="lg" aria-label={label} title={label} className={classes.bell}>
          <IconBell size={20} stroke={1.5} aria-hidden />
          {unread > 0 && (
            <span className={classes.count} aria-hidden>
              {unread}
            </span>
          )}
        </ActionIcon>
      )}
    >
      <Suspense fallback={null}>
        <BellPanel />
      </Suspense>
    </Flyout>
  );
}
