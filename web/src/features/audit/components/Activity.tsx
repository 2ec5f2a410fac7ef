import { Skeleton, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { dayOf, formatDate } from "../../../lib/dates";
import { ErrorState } from "../../../ui/States";
import { activityOf, type Day } from "../api";
import type { Question } from "../question";
import { Outcome } from "./Outcome";
import classes from "./AuditPage.module.css";

const outcomes = ["ok", "denied", "failed"] as const;
const day = 24 * 3600 * 1000;

/** Every day from the first to the last, those without events, too; at most a year of them. */
export function everyDay(days: Day[], from: string, until: string): Day[] {
  const known = new Map(days.map((d) => [d.day, d]));
  const out: Day[] = [];
  for (let at = Date.parse(`${from}T00:00:00Z`); at <= Date.parse(`${until}T00:00:00Z`) && out.length < 370; at += day) {
    const name = new Date(at).toISOString().slice(0, 10);
    out.push(known.get(name) ?? { day: name, ok: 0, denied: 0, failed: 0 });
  }
  return out;
}

/** The events over time: a bar for each day, parted by outcome. A bar leads to its day. */
export function Activity({ question, onDay }: { question: Question; onDay: (day: string) => void }) {
  const { t, i18n } = useTranslation("audit");
  const [today] = useState(() => dayOf(Date.now()));
  const until = question.until ?? today;
  const from = question.from ?? dayOf(Date.parse(`${until}T12:00:00+07:00`) - 30 * day);
  const { data, error, refetch } = useQuery(activityOf({ ...question, from, until }));
  const days = data ? everyDay(data, from, until) : [];
  const sums = outcomes.map((o) => days.reduce((sum, d) => sum + d[o], 0));
  const most = Math.max(0, ...days.map((d) => d.ok + d.denied + d.failed));
  const number = (n: number) => n.toLocaleString(i18n.language);
  return (
    <section className={classes.panel} aria-labelledby="audit-activity">
      <Title order={2} id="audit-activity">
        {t("activity.title")}
      </Title>
      <Text c="dimmed" className="tabular">
        {question.from || question.until ? t("activity.range", { from: formatDate(`${from}T12:00:00+07:00`), until: formatDate(`${until}T12:00:00+07:00`) }) : t("activity.lead")}
        {most > 0 && `, ${t("activity.most", { count: most })}`}
      </Text>
      {error && !data ? (
        <ErrorState compact code={codeOf(error)} title={t("activity.failed")} onRetry={() => void refetch()} />
      ) : !data ? (
        <Skeleton height={96} mt="xs" />
      ) : most === 0 ? (
        <Text mt="xs">{t("activity.none")}</Text>
      ) : (
        <>
          <div className={classes.bars} aria-hidden>
            {days.map((d) => (
              // For the pointer; the table below and the dates above serve the keyboard.
              // eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-static-element-interactions -- hidden from both
              <div key={d.day} className={classes.bar} title={`${formatDate(`${d.day}T12:00:00+07:00`)}: ${number(d.ok + d.denied + d.failed)}`} onClick={() => onDay(d.day)}>
                {outcomes.map((o) => d[o] > 0 && <span key={o} data-outcome={o} style={{ height: `max(2px, ${(100 * d[o]) / most}%)` }} />)}
              </div>
            ))}
          </div>
          <div className={`tabular ${classes.axis}`} aria-hidden>
            <span>{formatDate(`${from}T12:00:00+07:00`).slice(0, 5)}</span>
            <span>{formatDate(`${until}T12:00:00+07:00`).slice(0, 5)}</span>
          </div>
          <ul className={classes.legend}>
            {outcomes.map((o, i) => (
              <li key={o}>
                <span className={classes.swatch} data-outcome={o} aria-hidden />
                <Outcome outcome={o} />
                <span className="tabular">{number(sums[i] ?? 0)}</span>
              </li>
            ))}
          </ul>
          <div className="mantine-visually-hidden">{/* a table is as wide as its words, whatever it is told */}
          <table>
            <caption>{t("activity.title")}</caption>
            <thead>
              <tr>
                <th scope="col">{t("activity.day")}</th>
                {outcomes.map((o) => (
                  <th key={o} scope="col">
                    {t(`outcome.${o}`)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {data.map((d) => (
                <tr key={d.day}>
                  <th scope="row">{formatDate(`${d.day}T12:00:00+07:00`)}</th>
                  {outcomes.map((o) => (
                    <td key={o}>{d[o]}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
          </div>
        </>
      )}
    </section>
  );
}
