import { Group, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";
import { usePageTitle } from "../lib/title";

interface Props {
  title: string;
  /** What the browser's tab says, where that is more. */
  tab?: string;
  /** A line under the title: what this page holds. */
  description?: ReactNode;
  /** Buttons at the right. */
  actions?: ReactNode;
}

/** The one h1 of a page; it names the browser's tab too. */
export function PageHeader({ title, tab = title, description, actions }: Props) {
  usePageTitle(tab);
  return (
    <Group justify="space-between" align="flex-start" gap="sm" mb="md">
      <div style={{ flex: "1 1 240px" }}>
        <Title order={1}>{title}</Title>
        {description && (
          <Text c="dimmed" mt={2}>
            {description}
          </Text>
        )}
      </div>
      {actions && <Group gap="xs">{actions}</Group>}
    </Group>
  );
}
