import { Group, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";
import { codeOf } from "../../../api/error";
import { EmptyState, ErrorState, ListSkeleton } from "../../../ui/States";
import classes from "./Admin.module.css";

interface Props<T> {
  title: string;
  description: string;
  actions?: ReactNode;
  /** undefined while it loads. */
  items: T[] | undefined;
  error: unknown;
  failed: string;
  onRetry: () => void;
  empty: string;
  emptyHint: string;
  icon: ReactNode;
  children: (items: T[]) => ReactNode;
}

/** A section that is one list. */
export function ListPage<T>({ title, description, actions, items, error, failed, onRetry, empty, emptyHint, icon, children }: Props<T>) {
  return (
    <div className={classes.page}>
      <Group justify="space-between" align="flex-start" mb="md" wrap="wrap">
        <div style={{ flex: "1 1 280px" }}>
          <Title order={1}>{title}</Title>
          <Text c="dimmed" mt={2}>
            {description}
          </Text>
        </div>
        {actions}
      </Group>
      {error && !items ? (
        <ErrorState code={codeOf(error)} title={failed} onRetry={onRetry} />
      ) : !items ? (
        <ListSkeleton rows={5} />
      ) : items.length === 0 ? (
        <EmptyState title={empty} icon={icon}>
          {emptyHint}
        </EmptyState>
      ) : (
        children(items)
      )}
    </div>
  );
}
