import { Text, Title, UnstyledButton } from "@mantine/core";
import { IconCheck, IconChevronDown } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { currentPosition, useSession, type Position } from "../api/session";
import { shortAgency } from "../lib/names";
import { closeFlyout, Flyout } from "./Flyout";
import { useTakePosition } from "./take-position";
import classes from "./ActivePosition.module.css";

/** "Đang làm việc với tư cách …", and the choice of another post for who holds several. */
export function ActivePosition() {
  const { t } = useTranslation("app");
  const session = useSession();
  const take = useTakePosition();
  const position = currentPosition(session);
  if (!position) return null;

  const describe = (p: Position) => {
    const words = [[p.title, p.unit].filter(Boolean).join(", "), shortAgency(p.agency_name ?? "")].filter(Boolean).join(" · ");
    return p.delegated_by ? t("position.lent", { position: words, name: p.delegated_by }) : words;
  };
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
    <Flyout
      label={t("position.choose")}
      width={420}
      button={(props) => (
        <UnstyledButton {...props} className={classes.line} title={t("position.change")}>
          {text}
          <span className="mantine-visually-hidden">{t("position.change")}</span>
          <IconChevronDown size={16} stroke={1.5} aria-hidden />
        </UnstyledButton>
      )}
    >
      <Title order={2} mb="xs">
        {t("position.choose")}
      </Title>
      <ul className={classes.choices}>
        {positions.map((p) => (
          <li key={p.id}>
            <UnstyledButton
              className={classes.choice}
              aria-current={p.id === position.id || undefined}
              onClick={(e) => {
                closeFlyout(e);
                if (p.id === position.id) return;
                take(p.id);
              }}
            >
              <IconCheck size={16} stroke={1.5} aria-hidden visibility={p.id === position.id ? "visible" : "hidden"} />
              <span>
                {describe(p)}
                {p.delegated_by && (
                  <Text span c="dimmed" size="sm" display="block">
                    {t("position.lent_for", { what: (p.delegated_scopes ?? []).map((scope) => t(`position.scope.${scope}`)).join(", ") })}
                  </Text>
                )}
              </span>
            </UnstyledButton>
          </li>
        ))}
      </ul>
    </Flyout>
  );
}
