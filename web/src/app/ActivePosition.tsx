import { Text } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { useTranslation } from "react-i18next";
import { currentPosition, useSession, type Position } from "../api/session";
import { setActivePosition } from "../api/session-state";
import { shortAgency } from "../lib/names";
import classes from "./ActivePosition.module.css";

const PositionMenu = lazy(() => import("./PositionMenu"));

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
    <Suspense fallback={<div className={classes.line}>{text}</div>}>
      <PositionMenu
        label={t("position.change")}
        heading={t("position.choose")}
        choices={positions.map((p) => ({ id: p.id, words: describe(p) }))}
        chosen={position.id}
        onChoose={(id) => {
          setActivePosition(id);
          // What one may see hangs on the position: read all of it anew.
          void queryClient.resetQueries();
        }}
      >
        {text}
      </PositionMenu>
    </Suspense>
  );
}

function describe(p: Position): string {
  return [[p.title, p.unit].filter(Boolean).join(", "), shortAgency(p.agency_name ?? "")].filter(Boolean).join(" · ");
}
