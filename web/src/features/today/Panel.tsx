import { Anchor, Paper, Title } from "@mantine/core";
import { Link, useRouter } from "@tanstack/react-router";
import { useId, type ReactNode } from "react";
import type { Place } from "../../lib/paths";
import classes from "./TodayPage.module.css";

interface Props {
  title: string;
  /** How many wait; 0 shows nothing. */
  count?: number;
  /** Where all of it is, and the words of the link. */
  more: { place: Place; label: string };
  children: ReactNode;
}

/** One part of the day. */
export function Panel({ title, count = 0, more, children }: Props) {
  const id = useId();
  // A part that this server does not offer has no page to lead to.
  const there = more.place.to in useRouter().routesByPath;
  return (
    <Paper component="section" aria-labelledby={id} className={classes.panel}>
      <div className={classes.head}>
        <Title order={2} id={id}>
          {title}
          {count > 0 && <span className={classes.count}> {count}</span>}
        </Title>
        {there && (
          <Anchor size="sm" renderRoot={(props) => <Link {...more.place} {...props} />}>
            {more.label}
          </Anchor>
        )}
      </div>
      {children}
    </Paper>
  );
}
