import { Link } from "@tanstack/react-router";
import type { Place } from "../../lib/paths";
import { useId } from "react";
import classes from "./Lines.module.css";

interface Line {
  id: string;
  place: Place;
  main: string;
  /** Under the main words. */
  sub?: string;
  /** When, at the right. */
  side: string;
  /** It is on, or about to be. */
  now?: boolean;
  /** How many wait there, and in words for who listens. */
  count?: { n: number; words: string };
}

/** Lines that lead somewhere; under a title of their own where a panel holds more than one kind. */
export function Lines({ title, lines }: { title?: string | undefined; lines: Line[] }) {
  const id = useId();
  const list = (
    <ul className={classes.lines} aria-labelledby={title && id}>
      {lines.map((l) => (
        <li key={l.id}>
          <Link {...l.place} className={classes.line}>
            <span className={classes.words}>
              <span className={classes.main}>{l.main}</span>
              {l.sub && <span className={classes.sub}>{l.sub}</span>}
            </span>
            <span className={classes.side}>
              <span className={l.now ? classes.now : undefined}>{l.side}</span>
              {l.count && l.count.n > 0 && (
                <>
                  <span className={classes.count} aria-hidden>
                    {l.count.n > 99 ? "99+" : l.count.n}
                  </span>
                  <span className="mantine-visually-hidden">, {l.count.words}</span>
                </>
              )}
            </span>
          </Link>
        </li>
      ))}
    </ul>
  );
  if (!title) return list;
  return (
    <>
      <h3 id={id} className={classes.title}>
        {title}
      </h3>
      {list}
    </>
  );
}
