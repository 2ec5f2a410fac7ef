import { IconArrowBackUp, IconPaperclip } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { formatWhen } from "../../../lib/dates";
import { useLang } from "../../../lib/i18n";
import { paths } from "../../../lib/paths";
import type { Row } from "../api";
import { nameOf } from "../letter";
import classes from "./Mail.module.css";

interface Props {
  row: Row;
  /** The folder in the address bar. */
  place: string;
  /** Shows to whom it went instead of who wrote. */
  outgoing: boolean;
  q: string;
  current: boolean;
  /** Reached by Tab; of a list one is. */
  tabbable: boolean;
  onFocus: () => void;
}

/** One message in a list. */
export function MessageRow({ row, place, outgoing, q, current, tabbable, onFocus }: Props) {
  const { t } = useTranslation("mail");
  const lang = useLang();
  const people = (outgoing || row.draft ? row.to : row.from) ?? [];
  const names = people.map(nameOf).filter(Boolean).join(", ");
  const who = names || (outgoing || row.draft ? t("noRecipient") : t("noSender"));
  const unread = !row.seen;
  // A draft is gone on with where drafts lie; thrown away, it is only looked at.
  const to = row.draft && place === "drafts" ? paths.compose({ draft: row.id }) : paths.message(place, row.id);
  return (
    <Link
      {...to} {...(q && !row.draft ? { search: { q } as never } : {})} className={classes.row} data-row={row.id} data-unread={unread || undefined}
      aria-current={current ? "true" : undefined} tabIndex={tabbable ? 0 : -1} onFocus={onFocus} preload={false}
    >
      {unread && <span className={classes.dot} aria-hidden />}
      <span className={classes.line}>
        {unread && <span className="mantine-visually-hidden">{t("unreadMark")}</span>}
        {row.draft && <span className={classes.draftMark}>{t("draftMark")}</span>}
        <span className={classes.who}>{outgoing && names ? t("toLine", { names }) : who}</span>
        <time className={classes.when} dateTime={row.received_at}>
          {formatWhen(row.received_at, lang)}
        </time>
      </span>
      <span className={classes.line}>
        <span className={classes.subject}>{row.subject || t("noSubject")}</span>
        {row.answered && (
          <>
            <IconArrowBackUp size={16} stroke={1.5} aria-hidden />
            <span className="mantine-visually-hidden">{t("answeredMark")}</span>
          </>
        )}
        {row.attachments > 0 && (
          <>
            <IconPaperclip size={16} stroke={1.5} aria-hidden />
            <span className="mantine-visually-hidden">{t("filesMark", { count: row.attachments })}</span>
          </>
        )}
      </span>
      <span className={classes.preview}>{row.preview || t("noText")}</span>
    </Link>
  );
}
