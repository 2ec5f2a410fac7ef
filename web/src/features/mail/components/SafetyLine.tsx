import { IconAlertTriangle, IconCloudCheck, IconCloudUpload } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { formatTime } from "../../../lib/dates";
import type { Safety } from "../keeper";
import classes from "./Mail.module.css";

/** How safe what is being written is, in words. */
export function SafetyLine({ safety }: { safety: Safety }) {
  const { t } = useTranslation("mail");
  switch (safety.state) {
    case "clean":
      return null;
    case "waiting":
    case "saving":
      return (
        <span className={classes.safety}>
          <IconCloudUpload size={16} stroke={1.5} aria-hidden />
          {t("safety.saving")}
        </span>
      );
    case "saved":
      return (
        <span className={`${classes.safety} tabular`} role="status">
          <IconCloudCheck size={16} stroke={1.5} aria-hidden />
          {t("safety.saved", { time: formatTime(safety.at) })}
        </span>
      );
    case "failed":
      return (
        <span className={classes.safety} data-failed="" role="status">
          <IconAlertTriangle size={16} stroke={1.5} aria-hidden />
          {t("safety.failed")}
        </span>
      );
  }
}
