import { Text } from "@mantine/core";
import { IconMailPause } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { formatBytes } from "../../../lib/bytes";
import { formatWhen } from "../../../lib/dates";
import { useLang } from "../../../lib/i18n";
import { EmptyState, ErrorState, ListSkeleton } from "../../../ui/States";
import { heldQuery } from "../api";
import classes from "./Mail.module.css";

/** Mail for outside that a demo keeps here: what, and for whom. */
export function HeldList() {
  const { t } = useTranslation("mail");
  const lang = useLang();
  const { data: held, error, refetch } = useQuery(heldQuery);
  if (error && !held) return <ErrorState code={codeOf(error)} title={t("held.failed")} onRetry={() => void refetch()} />;
  if (!held) {
    return (
      <div className={classes.pad}>
        <ListSkeleton rows={5} />
      </div>
    );
  }
  return (
    <div style={{ overflowY: "auto" }}>
      <p className={classes.note} style={{ margin: 0 }}>
        {t("held.hint")}
      </p>
      {held.length === 0 ? (
        <EmptyState title={t("held.empty")} icon={<IconMailPause size={36} stroke={1.5} />} />
      ) : (
        <ul style={{ listStyle: "none", margin: 0, padding: 0 }} aria-label={t("held.title")}>
          {held.map((h) => (
            <li key={h.id} className={classes.held}>
              <span className={classes.line}>
                <span className={classes.who}>{h.subject || t("noSubject")}</span>
                <time className={classes.when} dateTime={h.created_at}>
                  {formatWhen(h.created_at, lang)}
                </time>
              </span>
              <Text size="sm" style={{ overflowWrap: "anywhere" }}>
                {t("held.to", { addresses: (h.to ?? []).join(", ") })}
              </Text>
              <Text size="sm" c="dimmed" className="tabular">
                {t("held.size", { size: formatBytes(h.size, lang) })}
              </Text>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
