import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useTitleStore } from "../lib/title";
import classes from "./Frame.module.css";
import { nav, type NavEntry } from "./nav";

/** The places, with what waits in each; a bar at the bottom of narrow windows. */
export function Rail() {
  const { t } = useTranslation("app");
  const [counts, setCounts] = useState<Record<string, number>>({});
  const total = counts["chat"] ?? 0;
  useEffect(() => useTitleStore.setState({ count: total }), [total]);
  return (
    <nav className={classes.rail} aria-label={t("nav.label")}>
      <ul className={classes.list}>
        {nav.map((entry) => (
          <RailEntry key={entry.name} entry={entry} onCount={(n) => setCounts((c) => (c[entry.name] === n ? c : { ...c, [entry.name]: n }))} />
        ))}
      </ul>
    </nav>
  );
}

const none = () => 0;
const always = () => true;

function RailEntry({ entry, onCount }: { entry: NavEntry; onCount: (n: number) => void }) {
  const { t } = useTranslation("app");
  // A feature's module never changes while the page lives, so these are the same hooks throughout.
  const useBadge = entry.feature.useBadge ?? none;
  const useShown = entry.feature.useShown ?? always;
  const shown = useShown();
  const count = useBadge();
  useEffect(() => onCount(count));
  const name = t(`nav.${entry.name}`);
  const Icon = entry.icon;
  if (!shown) return null;
  return (
    <li>
      <Link {...entry.place} className={classes.entry} activeOptions={{ exact: entry.place.to === "/", includeSearch: false }}>
        <Icon size={20} stroke={1.5} aria-hidden />
        <span className={classes.label}>
          {name}
          {count > 0 && <span className="mantine-visually-hidden">{t("nav.waiting", { count })}</span>}
        </span>
        {count > 0 && (
          <span className={classes.count} aria-hidden>
            {count > 99 ? "99+" : count}
          </span>
        )}
      </Link>
    </li>
  );
}
