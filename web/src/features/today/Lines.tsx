import { Link } from "@tanstack/react-router";
import type { Place } from "../../lib/paths";
import classes from "./Lines.module.css";

interface Line {
  id: string;
  place: Place;
  main: string;
  /** Under the main words. */
  sub?: string;
  /** A time or a count, at the right. */
  side?: string;
}

/** Lines that lead somewhere. */
export function Lines({ lines }: { lines: Line[] }) {
  return (
    <ul className={classes.lines}>
      {lines.map((l) => (
        <li key={l.id}>
          <Link {...l.place} className={classes.line}>
            <span className={classes.words}>
              <span className={classes.main}>{l.main}</span>
              {l.sub && <span className={classes.sub}>{l.sub}</span>}
            </span>
            {l.side && <span className={classes.side}>{l.side}</span>}
          </Link>
        </li>
      ))}
    </ul>
  );
}
