import { initials, shortAgency } from "../lib/names";
import classes from "./AgencySeal.module.css";

interface Props {
  name: string;
  short?: string;
  /** Address of the seal's picture; absent, initials stand for it. */
  seal?: string;
  /** Only the mark; the name is then its accessible label. */
  markOnly?: boolean;
  /** The name goes on in a second line where it is long; else its end is left out. */
  whole?: boolean;
}

/** An agency: its seal or initials, and its short name; never colour alone. */
export function AgencySeal({ name, short, seal, markOnly = false, whole = false }: Props) {
  const shown = short || shortAgency(name);
  const label = markOnly ? { role: "img", "aria-label": name } : { "aria-hidden": true };
  return (
    <span className={classes.agency} data-whole={whole || undefined} title={name}>
      {seal ? (
        <img className={classes.mark} src={seal} alt={markOnly ? name : ""} />
      ) : (
        <span className={classes.mark} {...label}>
          {initials(shortAgency(name))}
        </span>
      )}
      {!markOnly && <span className={whole ? undefined : classes.name}>{shown}</span>}
    </span>
  );
}
