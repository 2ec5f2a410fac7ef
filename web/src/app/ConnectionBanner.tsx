import { IconCloudOff, IconLoader } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { useConnection } from "../api/connection";
import classes from "./Frame.module.css";

/** How the connection is, when it is not good; nothing otherwise. */
export function ConnectionBanner() {
  const { t } = useTranslation("app");
  const state = useConnection((s) => s.state);
  const bad = state === "reconnecting" || state === "offline";
  return (
    <div role="status">
      {bad && (
        <div className={classes.banner}>
          {state === "offline" ? <IconCloudOff size={18} stroke={1.5} aria-hidden /> : <IconLoader size={18} stroke={1.5} aria-hidden />}
          <span>{state === "offline" ? t("connection.offline") : t("connection.reconnecting")}</span>
        </div>
      )}
    </div>
  );
}
