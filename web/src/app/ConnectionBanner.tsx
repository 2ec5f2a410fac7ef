import { IconCloudOff, IconLoader, IconRefresh } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { useConnection } from "../api/connection";
import classes from "./Frame.module.css";

/** How the connection is, when it is not good; nothing otherwise. */
export function ConnectionBanner() {
  const { t } = useTranslation("app");
  const state = useConnection((s) => s.state);
  if (state !== "reconnecting" && state !== "offline" && state !== "outdated") return <div role="status" />;
  const Icon = { reconnecting: IconLoader, offline: IconCloudOff, outdated: IconRefresh }[state];
  return (
    <div role="status">
      <div className={classes.banner}>
        <Icon size={18} stroke={1.5} aria-hidden />
        <span>{t(`connection.${state}`)}</span>
        {state === "outdated" && (
          <button type="button" className={classes.reload} onClick={() => location.reload()}>
            {t("connection.reload")}
          </button>
        )}
      </div>
    </div>
  );
}
