import { Button, Group, Stack, Text, Title } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { signInNext } from "../../../api/sign-in-steps";
import { NewPassword } from "../components/NewPassword";
import { Problem } from "../components/Problem";
import { minOf, refusalOf } from "../refusal";
import { judge } from "../rules";
import { useFocus, useStep, type StepProps } from "./Steps";

/** A new password before one comes in: the first one, or instead of one that was reset. */
export function ChoosePassword(props: StepProps) {
  const { t } = useTranslation("account");
  const { pending, login, onBack } = props;
  const [value, setValue] = useState("");
  const [repeated, setRepeated] = useState("");
  const [tried, setTried] = useState(false);
  const field = useFocus();
  const step = useStep(props, (password: string) => signInNext(pending.ticket, { new_password: password }));
  const rules = { min: pending.min_password ?? 15, context: [login] };
  const kept = judge(value, rules).length;
  const refusal = refusalOf(step.error);
  return (
    <form
      noValidate
      onSubmit={(e) => {
        e.preventDefault();
        setTried(true);
        if (!kept) field.current?.focus();
        else if (value === repeated && !step.isPending) step.mutate(value, { onError: () => field.current?.select() });
      }}
    >
      <Stack gap="sm">
        <div>
          <Title order={1}>{t("signin.new_password")}</Title>
          <Text c="dimmed" mt={4}>
            {t("signin.new_password_lead")}
          </Text>
        </div>
        {!refusal && <Problem error={step.error} title={t("password.failed")} />}
        <input type="hidden" autoComplete="username" value={login} readOnly />
        <NewPassword
          inputRef={field}
          rules={rules}
          value={value}
          repeated={repeated}
          error={refusal ? t(`password.refused.${refusal}`, { min: minOf(step.error) ?? rules.min }) : tried && !kept ? t("password.refused.too_short", { min: rules.min }) : undefined}
          repeatedError={tried && kept && value !== repeated ? t("password.differs") : undefined}
          onChange={(v, r) => {
            setValue(v);
            setRepeated(r);
            step.reset();
          }}
        />
        <Group justify="space-between" mt="xs">
          <Button variant="default" onClick={onBack}>
            {t("cancel")}
          </Button>
          <Button type="submit" loading={step.isPending}>
            {t("signin.set_password")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
