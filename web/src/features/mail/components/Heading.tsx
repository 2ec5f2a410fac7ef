import { Anchor, UnstyledButton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useRouter } from "@tanstack/react-router";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { peopleQuery } from "../../../api/people";
import { formatBytes } from "../../../lib/bytes";
import { formatDateTime } from "../../../lib/dates";
import { useLang } from "../../../lib/i18n";
import { shortAgency, type PersonView } from "../../../lib/names";
import { paths } from "../../../lib/paths";
import { PersonMark } from "../../../ui/PersonLine";
import type { Message } from "../api";
import { nameOf, type Address } from "../letter";
import classes from "./Mail.module.css";

/** Who has an address, if the directory knows. */
function usePersonOf(address: string): PersonView | undefined {
  const found = useQuery({ ...peopleQuery(address, 5), enabled: address !== "" });
  return found.data?.find((p) => p.address?.toLowerCase() === address.toLowerCase());
}

/** Who wrote to whom, and when. */
export function Heading({ m }: { m: Message }) {
  const { t } = useTranslation("mail");
  const lang = useLang();
  const [open, setOpen] = useState(false);
  const details = useId();
  const from = m.from?.[0] ?? { name: "", address: "" };
  const person = usePersonOf(from.address);
  const hasCards = "/directory/$person" in useRouter().routesByPath;
  const name = nameOf(from) || t("noSender");
  const post = person && [person.title, person.unit, person.agency_short || shortAgency(person.agency_name ?? "")].filter(Boolean).join(" · ");
  const to = m.to ?? [];
  const cc = m.cc ?? [];
  return (
    <header className={classes.from}>
      <PersonMark name={person?.name ?? name} size={40} />
      <div className={classes.fromWords}>
        <div className={classes.fromLine}>
          {person && hasCards ? (
            <Anchor className={classes.fromName} c="inherit" renderRoot={(props) => <Link {...paths.person(person.id)} {...props} />}>
              {name}
            </Anchor>
          ) : (
            <span className={classes.fromName}>{name}</span>
          )}
          {from.name && <span className={classes.small}>{from.address}</span>}
          <time className={`${classes.small} ${classes.spread} tabular`} dateTime={m.received_at}>
            {formatDateTime(m.received_at)}
          </time>
        </div>
        {post && <div className={classes.small}>{post}</div>}
        <div className={classes.small}>
          {t("toLine", { names: few(to, t) || t("noRecipient") })}
          {cc.length > 0 && <> · {t("ccLine", { names: few(cc, t) })}</>}{" "}
          <UnstyledButton fz="inherit" c="var(--mantine-color-anchor)" aria-expanded={open} aria-controls={details} onClick={() => setOpen(!open)}>
            {open ? t("details.hide") : t("details.show")}
          </UnstyledButton>
        </div>
        <dl className={classes.details} id={details} hidden={!open} style={open ? undefined : { display: "none" }}>
          <People label={t("from")} list={m.from ?? []} />
          <People label={t("replyTo")} list={(m.reply_to ?? []).filter((a) => a.address !== from.address)} />
          <People label={t("to")} list={to} />
          <People label={t("cc")} list={cc} />
          {m.sent_at && (
            <>
              <dt>{t("sentAt")}</dt>
              <dd className="tabular">{formatDateTime(m.sent_at)}</dd>
            </>
          )}
          <dt>{t("size")}</dt>
          <dd className="tabular">{formatBytes(m.size, lang)}</dd>
        </dl>
      </div>
    </header>
  );
}

/** The first names of a list, and how many more there are. */
function few(list: Address[], t: (key: "andMore", f: { names: string; count: number }) => string): string {
  const names = list.slice(0, 4).map(nameOf).join(", ");
  return list.length > 4 ? t("andMore", { names, count: list.length - 4 }) : names;
}

function People({ label, list }: { label: string; list: Address[] }) {
  if (list.length === 0) return null;
  return (
    <>
      <dt>{label}</dt>
      <dd>
        {list.map((a, i) => (
          <div key={i}>{a.name ? `${a.name} <${a.address}>` : a.address}</div>
        ))}
      </dd>
    </>
  );
}
