import { Group, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";
import classes from "./MeetingPage.module.css";

interface Props {
  /** The meeting's title, where it is known. */
  about?: string;
  title: string;
  children: ReactNode;
  actions: ReactNode;
}

/** A page that says one thing about a meeting, and what one can do now. */
export function Message({ about, title, children, actions }: Props) {
  return (
    <main id="main" className={classes.message}>
      <div className={classes.messageBox}>
        {about && (
          <Text c="dimmed" className={classes.about}>
            {about}
          </Text>
        )}
        <Title order={1}>{title}</Title>
        <Text mt="xs" role="status">
          {children}
        </Text>
        <Group gap="sm" mt="lg" justify="center">
          {actions}
        </Group>
      </div>
    </main>
  );
}
