import { Button, Group, Stack, Text, TextInput, Title } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Entered } from "../../../api/sign-in";
import { signInByCode } from "../../../api/sign-in-steps";
import { PrintedCodeField } from "../components/CodeField";
import { Problem } from "../components/Problem";

interface Props {
  login: string;
  onLogin: (login: string) => void;
  onEntered: (answer: Entered) => Promise<void>;
  onBack: () => void;
}

/** The first sign-in, or one without the old password, by the code that an administrator gave. */
export default function ByCode({ login, onLogin, onEntered, onBack }: Props) {
  const { t } = useTranslation("account");
  const [code, setCode] = useState("");
  const [missing, setMissing] = useState<{ login?: string; code?: string }>({});
  const loginRef = useRef<HTMLInputElement>(null);
  const codeRef = useRef<HTMLInputElement>(null);
  const enter = useMutation({
    meta: { inline: true },
    mutationFn: () => signInByCode(login.trim(), code.trim()),
    onSuccess: onEntered,
    onError: () => codeRef.current?.select(),
  });
  const submit = (e: React.FormEvent) => {
    e.preventDefault();
    const gaps = {
      login: login.trim() ? undefined : t("signin.login_missing"),
      code: code.trim() ? undefined : t("signin.code_missing"),
    };
    setMissing(gaps);
    if (gaps.login) loginRef.current?.focus();
    else if (gaps.code) codeRef.current?.focus();
    else if (!enter.isPending) enter.mutate();
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="sm">
        <Title order={1}>{t("signin.by_code")}</Title>
        <Text c="dimmed">{t("signin.by_code_lead")}</Text>
        <Problem error={enter.error} title={t("signin.code_failed")} words={{ unauthenticated: t("signin.code_wrong"), invalid: t("signin.code_wrong") }} />
        <TextInput
          ref={loginRef}
          label={t("signin.login")}
          type="email"
          inputMode="email"
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          value={login}
          error={missing.login}
          onChange={(e) => {
            onLogin(e.currentTarget.value);
            setMissing({});
          }}
        />
        <PrintedCodeField
          inputRef={codeRef}
          label={t("signin.code")}
          description={t("signin.code_hint")}
          value={code}
          error={missing.code}
          onChange={(v) => {
            setCode(v);
            setMissing({});
          }}
        />
        <Group justify="space-between" mt="xs">
          <Button variant="default" onClick={onBack}>
            {t("back")}
          </Button>
          <Button type="submit" loading={enter.isPending}>
            {t("go_on")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
