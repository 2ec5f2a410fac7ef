import { IconAlertTriangle, IconCircleCheck, IconHandStop } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import classes from "./AuditPage.module.css";

const icons = { ok: IconCircleCheck, denied: IconHandStop, failed: IconAlertTriangle };
const colours = { ok: "var(--commsd-ok)", denied: "var(--commsd-bad)", failed: "var(--commsd-warn)" };

/** How it went: an icon and a word, never a colour alone. */
export function Outcome({ outcome }: { outcome: "ok" | "denied" | "failed" }) {
  const { t } = useTranslation("audit");
  const Icon = icons[outcome];
  return (
    <span className={classes.outcome} style={{ color: colours[outcome] }}>
      <Icon size={16} stroke={1.5} aria-hidden />
      {t(`outcome.${outcome}`)}
    </span>
  );
}
