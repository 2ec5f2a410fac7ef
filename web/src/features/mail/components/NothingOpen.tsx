import { Kbd, Text } from "@mantine/core";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { EmptyState } from "../../../ui/States";
import classes from "./Mail.module.css";

/** Where a message will be read: what to do, and by which keys. */
export function NothingOpen({ icon, keys }: { icon: ReactNode; keys: boolean }) {
  const { t } = useTranslation("mail");
  return (
    <div className={classes.centre}>
      <EmptyState title={t("reading.none")} icon={icon}>
        {keys && (
          <dl className={classes.keys} aria-label={t("keys.label")}>
            {(
              [
                [["j", "k"], t("keys.move")],
                [["Enter"], t("keys.open")],
                [["r", "a", "f"], t("keys.answer")],
                [["u", "Delete"], t("keys.mark")],
              ] as const
            ).map(([pressed, does]) => (
              <div key={does} style={{ display: "contents" }}>
                <dt>
                  {pressed.map((k) => (
                    <Kbd key={k} size="xs" mr={4}>
                      {k}
                    </Kbd>
                  ))}
                </dt>
                <dd>
                  <Text size="sm">{does}</Text>
                </dd>
              </div>
            ))}
          </dl>
        )}
      </EmptyState>
    </div>
  );
}
