import { Menu, Text, UnstyledButton } from "@mantine/core";
import { IconCheck, IconChevronDown } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { currentPosition, useSession, type Position } from "../api/session";
import { setActivePosition } from "../api/session-state";
import { shortAgency } from "../lib/names";
import classes from "./ActivePosition.module.css";

/** "Đang làm việc với tư cách …", and the choice of another post for who holds several. */
export function ActivePosition() {
  const { t } = useTranslation("app");
  const session = useSession();
  const queryClient = useQueryClient();
  const position = currentPosition(session);
  if (!position) return null;

  const words = describe(position);
  const text = (
    <>
      <Text span className={classes.as} c="dimmed" size="sm">
        {t("position.as")}
      </Text>
      <Text span fw={500} size="sm" className={classes.post} title={words}>
        {words}
      </Text>
    </>
  );
  const positions = session.positions ?? [];
  if (positions.length < 2) return <div className={classes.line}>{text}</div>;
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <UnstyledButton className={classes.line} aria-label={t("position.change", { position: words })}>
          {text}
          <IconChevronDown size={16} stroke={1.5} aria-hidden />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t("position.choose")}</Menu.Label>
        {positions.map((p) => (
          <Menu.Item
            key={p.id}
            leftSection={<IconCheck size={16} stroke={1.5} aria-hidden visibility={p.id === position.id ? "visible" : "hidden"} />}
            onClick={() => {
              setActivePosition(p.id);
              // What one may see hangs on the position: read all of it anew.
              void queryClient.resetQueries();
            }}
          >
            {describe(p)}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function describe(p: Position): string {
  return [[p.title, p.unit].filter(Boolean).join(", "), shortAgency(p.agency_name ?? "")].filter(Boolean).join(" · ");
}
