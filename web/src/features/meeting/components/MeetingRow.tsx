import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { dayOf, formatDateTime, formatTime } from "../../../lib/dates";
import { shortAgency } from "../../../lib/names";
import { paths } from "../../../lib/paths";
import type { Meeting } from "../api";
import { CopyLink } from "./CopyLink";
import classes from "./MeetingsPage.module.css";

/** One meeting of the list: what, when, by whom, and the way in. */
export function MeetingRow({ meeting, now }: { meeting: Meeting; now: number }) {
  const { t } = useTranslation("meeting");
  const when = (at: string) => (dayOf(at) === dayOf(now) ? t("list.today", { time: formatTime(at) }) : formatDateTime(at));
  const by = meeting.created_by;
  const agency = by.agency_short || shortAgency(by.agency_name ?? "");
  const begun = !meeting.starts_at || new Date(meeting.starts_at).getTime() <= now;
  const presence = meeting.present > 0 ? t("list.present", { count: meeting.present }) : !meeting.past && begun ? t("list.nobody") : "";
  return (
    <div className={classes.row}>
      <div className={classes.words}>
        {meeting.ended_at ? (
          <span className={classes.title}>{meeting.title}</span>
        ) : (
          <Link {...paths.meeting(meeting.id)} className={classes.title}>
            {meeting.title}
          </Link>
        )}
        <div className={classes.sub}>
          {presence && <span data-present={meeting.present > 0 || undefined}>{presence}</span>}
          <span>
            {meeting.ended_at
              ? t("list.endedAt", { when: when(meeting.ended_at) })
              : meeting.starts_at
                ? t("list.at", { when: when(meeting.starts_at) })
                : t("list.started", { when: when(meeting.created_at) })}
          </span>
          <span>{meeting.relation === "maker" ? t("list.byMe") : t("list.by", { name: [by.name, agency].filter(Boolean).join(" · ") })}</span>
        </div>
      </div>
      {!meeting.ended_at && (
        <div className={classes.actions}>
          <CopyLink link={meeting.link} label={t("list.copyNamed", { title: meeting.title })} />
          <Button
            renderRoot={(props) => <Link {...paths.meeting(meeting.id)} {...props} />}
            variant={meeting.past ? "default" : "light"}
            size="sm"
            aria-label={t("list.joinNamed", { title: meeting.title })}
          >
            {t("list.join")}
          </Button>
        </div>
      )}
    </div>
  );
}
