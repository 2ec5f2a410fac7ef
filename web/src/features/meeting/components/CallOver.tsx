import { Button, Group } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { paths } from "../../../lib/paths";
import { EmptyState } from "../../../ui/States";
import { forgetCall } from "../active";
import type { Phase } from "../call";
import classes from "./MeetingPage.module.css";

/** Why the call is over, and what one can do now. */
export function CallOver({ phase, title, onAgain }: { phase: Phase; title: string; onAgain: () => void }) {
  const { t } = useTranslation("meeting");
  const final = phase === "ended" || phase === "missing" || phase === "unsupported";
  // i18n: over.left, over.leftText, over.ended, over.endedText, over.removed, over.removedText, over.replaced, over.replacedText
  // i18n: over.refused, over.refusedText, over.missing, over.missingText, over.unsupported, over.unsupportedText
  return (
    <main id="main" className={classes.message}>
      <p className={classes.kicker}>{title}</p>
      <EmptyState
        title={t(`over.${phase}`)}
        action={
          <Group gap="sm">
            {!final && <Button onClick={onAgain}>{t("over.again")}</Button>}
            <Button variant={final ? "filled" : "default"} renderRoot={(props) => <Link {...paths.meetings()} {...props} />} onClick={forgetCall}>
              {t("door.back")}
            </Button>
          </Group>
        }
      >
        <span role="status">{t(`over.${phase}Text`)}</span>
      </EmptyState>
    </main>
  );
}
