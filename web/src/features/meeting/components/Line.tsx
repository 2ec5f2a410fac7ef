import { CloseButton, Text } from "@mantine/core";
import type { ReactNode } from "react";
import classes from "./Line.module.css";

/** One thing to know, with what can be done about it, in one line of its own. */
export function Line({ icon, children, close, onClose }: { icon: ReactNode; children: ReactNode; close?: string; onClose?: () => void }) {
  return (
    <div className={classes.line}>
      {icon}
      <Text component="div" size="sm" className={classes.words}>
        {children}
      </Text>
      {onClose && <CloseButton size="sm" aria-label={close} onClick={onClose} />}
    </div>
  );
}
