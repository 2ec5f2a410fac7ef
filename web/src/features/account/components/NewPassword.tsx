import { PasswordInput, Stack, Text } from "@mantine/core";
import { IconCircle, IconCircleCheck } from "@tabler/icons-react";
import { useId, type Ref } from "react";
import { useTranslation } from "react-i18next";
import { judge, type PasswordRules, type RuleName } from "../rules";
import classes from "./NewPassword.module.css";

interface Props {
  rules: PasswordRules;
  value: string;
  repeated: string;
  onChange: (value: string, repeated: string) => void;
  /** Why this one was refused. */
  error?: string;
  repeatedError?: string;
  inputRef?: Ref<HTMLInputElement>;
}

const order: RuleName[] = ["length", "pattern", "context"];

/** A new password, its rules said beforehand, each with a sign and a word for whether it is kept. */
export function NewPassword({ rules, value, repeated, onChange, error, repeatedError, inputRef }: Props) {
  const { t } = useTranslation("account");
  const id = useId();
  const kept = judge(value, rules);
  const toggle = { "aria-label": t("password.show"), tabIndex: 0, "aria-hidden": false };
  return (
    <Stack gap="sm">
      <PasswordInput
        ref={inputRef}
        label={t("password.new")}
        autoComplete="new-password"
        aria-describedby={id}
        value={value}
        error={error}
        visibilityToggleButtonProps={toggle}
        onChange={(e) => onChange(e.currentTarget.value, repeated)}
      />
      <div id={id}>
        <ul className={classes.rules}>
          {order.map((rule) => (
            <li key={rule} data-kept={(value !== "" && kept[rule]) || undefined}>
              {value !== "" && kept[rule] ? <IconCircleCheck size={16} stroke={1.5} aria-hidden /> : <IconCircle size={16} stroke={1.5} aria-hidden />}
              <span>
                {t(`password.rule.${rule}`, { min: rules.min })}
                {value !== "" && <span className="mantine-visually-hidden">{kept[rule] ? t("password.kept") : t("password.not_kept")}</span>}
              </span>
            </li>
          ))}
        </ul>
        <Text size="sm" c="dimmed">
          {t("password.advice")}
        </Text>
      </div>
      <PasswordInput
        label={t("password.repeat")}
        autoComplete="new-password"
        value={repeated}
        error={repeatedError}
        visibilityToggleButtonProps={toggle}
        onChange={(e) => onChange(value, e.currentTarget.value)}
      />
    </Stack>
  );
}
