import { Button } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { paths } from "../../../lib/paths";
import { forgetCall } from "../active";
import { meetingQuery } from "../api";
import type { Phase } from "../call";
import { Message } from "./Message";

/** Why the call is over, and what one can do now. */
export function CallOver({ id, phase, title, onAgain }: { id: string; phase: Phase; title: string; onAgain: () => void }) {
  const { t } = useTranslation("meeting");
  const client = useQueryClient();
  // The room puts out whoever signs out elsewhere, too: asking anything leads to sign-in then.
  useEffect(() => {
    if (phase === "removed") client.fetchQuery({ ...meetingQuery(id), staleTime: 0 }).catch(() => undefined);
  }, [client, id, phase]);
  const final = phase === "ended" || phase === "missing" || phase === "unsupported";
  // i18n: over.left, over.leftText, over.ended, over.endedText, over.removed, over.removedText, over.replaced, over.replacedText
  // i18n: over.refused, over.refusedText, over.missing, over.missingText, over.unsupported, over.unsupportedText
  return (
    <Message
      about={title}
      title={t(`over.${phase}`)}
      actions={
        <>
          {!final && <Button onClick={onAgain}>{t("over.again")}</Button>}
          <Button variant={final ? "filled" : "default"} renderRoot={(props) => <Link {...paths.meetings()} {...props} />} onClick={forgetCall}>
            {t("door.back")}
          </Button>
        </>
      }
    >
      {t(`over.${phase}Text`)}
    </Message>
  );
}
