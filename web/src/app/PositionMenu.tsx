import { Menu, UnstyledButton, VisuallyHidden } from "@mantine/core";
import { IconCheck, IconChevronDown } from "@tabler/icons-react";
import type { ReactNode } from "react";
import classes from "./ActivePosition.module.css";

interface Props {
  label: string;
  heading: string;
  choices: { id: string; words: string }[];
  chosen: string;
  onChoose: (id: string) => void;
  children: ReactNode;
}

/** The choice among several posts; loaded only for who holds several. */
export default function PositionMenu({ label, heading, choices, chosen, onChoose, children }: Props) {
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <UnstyledButton className={classes.line} title={label}>
          {children}
          <VisuallyHidden>{label}</VisuallyHidden>
          <IconChevronDown size={16} stroke={1.5} aria-hidden />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{heading}</Menu.Label>
        {choices.map((c) => (
          <Menu.Item
            key={c.id}
            leftSection={<IconCheck size={16} stroke={1.5} aria-hidden visibility={c.id === chosen ? "visible" : "hidden"} />}
            onClick={() => onChoose(c.id)}
          >
            {c.words}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
