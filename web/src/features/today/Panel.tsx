import { Anchor, Group, Paper, Title } from "@mantine/core";
import { Link, useRouter } from "@tanstack/react-router";
import { useId, type ReactNode } from "react";
import type { Place } from "../../lib/paths";

interface Props {
  title: string;
  /** Where all of it is, and the words of the link. */
  more: { place: Place; label: string };
  children: ReactNode;
}

/** One part of the day. */
export function Panel({ title, more, children }: Props) {
  const id = useId();
  // A part that this server does not offer has no page to lead to.
  const there = more.place.to in useRouter().routesByPath;
  return (
    <Paper component="section" aria-labelledby={id} p="md">
      <Group justify="space-between" mb="sm" wrap="nowrap">
        <Title order={2} id={id}>
          {title}
        </Title>
        {there && (
          <Anchor size="sm" renderRoot={(props) => <Link {...more.place} {...props} />}>
            {more.label}
          </Anchor>
        )}
      </Group>
      {children}
    </Paper>
  );
}
