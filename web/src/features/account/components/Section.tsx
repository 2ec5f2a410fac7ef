import { Badge, Paper, Text, Title } from "@mantine/core";
import { IconCheck } from "@tabler/icons-react";
import { useId, type ReactNode } from "react";
import classes from "./Section.module.css";

interface Props {
  title: string;
  description?: ReactNode;
  /** A button beside the title: to add one. */
  action?: ReactNode;
  children: ReactNode;
}

/** One subject of the account, under a heading of its own. */
export function Section({ title, description, action, children }: Props) {
  const id = useId();
  return (
    <Paper component="section" className={classes.section} aria-labelledby={id}>
      <div className={classes.head}>
        <div>
          <Title order={2} id={id}>
            {title}
          </Title>
          {description && (
            <Text c="dimmed" mt={2}>
              {description}
            </Text>
          )}
        </div>
        {action}
      </div>
      {children}
    </Paper>
  );
}

/** Lines between hairlines: a thing, what is known of it, what one can do with it. */
export function Rows({ label, children }: { label: string; children: ReactNode }) {
  return (
    <ul className={classes.rows} aria-label={label}>
      {children}
    </ul>
  );
}

/** A word of state beside a row's title; a good one has a sign, too. */
export function Mark({ good = false, children }: { good?: boolean; children: string }) {
  return (
    <Badge variant="default" size="md" fw={400} leftSection={good && <IconCheck size={12} stroke={2} color="var(--commsd-ok)" aria-hidden />}>
      {children}
    </Badge>
  );
}

interface RowProps {
  icon?: ReactNode;
  title: ReactNode;
  /** A word of state beside the title: "phiên này". */
  mark?: ReactNode;
  children?: ReactNode;
  actions?: ReactNode;
}

export function Row({ icon, title, mark, children, actions }: RowProps) {
  return (
    <li className={classes.row}>
      {icon && (
        <span className={classes.icon} aria-hidden>
          {icon}
        </span>
      )}
      <div className={classes.words}>
        <Text component="div" fw={500}>
          {title} {mark}
        </Text>
        {children && (
          <Text component="div" size="sm" c="dimmed">
            {children}
          </Text>
        )}
      </div>
      {actions && <div className={classes.actions}>{actions}</div>}
    </li>
  );
}
