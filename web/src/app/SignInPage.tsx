import { Alert, Button, Group, Paper, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core";
import { IconAlertTriangle, IconInfoCircle } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRouter, useSearch } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../api/error";
import { infoQuery } from "../api/info";
import { sessionQuery, signIn } from "../api/session";
import { setActivePosition } from "../api/session-state";
import { useDraft } from "../lib/draft";
import { safeReturn } from "../lib/paths";
import { usePageTitle } from "../lib/title";
import { Brand } from "./Brand";
import { DemoAccounts } from "./DemoAccounts";
import { LanguageToggle, SchemeToggle } from "./Preferences";
import classes from "./SignInPage.module.css";

/** Login and password; what was typed stays through every failure. */
export function SignInPage() {
  const { t } = useTranslation("app");
  usePageTitle(t("sign_in.title"));
  const { to, ended } = useSearch({ strict: false }) as { to?: string; ended?: string };
  const router = useRouter();
  const queryClient = useQueryClient();
  const { data: info } = useQuery(infoQuery);
  const [login, setLogin, clearLogin] = useDraft("login", "");
  const [password, setPassword] = useState("");
  const [missing, setMissing] = useState<{ login?: string; password?: string }>({});
  const loginRef = useRef<HTMLInputElement>(null);
  const passwordRef = useRef<HTMLInputElement>(null);
  const submitRef = useRef<HTMLButtonElement>(null);

  const enter = useMutation({
    meta: { inline: true },
    mutationFn: () => signIn(login.trim(), password),
    onSuccess: async (session) => {
      clearLogin();
      setActivePosition(""); // a position of whoever was here before
      queryClient.removeQueries({ predicate: (q) => q.queryKey[0] !== "info" });
      queryClient.setQueryData(sessionQuery.queryKey, session);
      router.history.push(safeReturn(to));
    },
    onError: () => passwordRef.current?.select(),
  });

  const submit = (e: React.FormEvent) => {
    e.preventDefault();
    const gaps = {
      login: login.trim() ? undefined : t("sign_in.login_missing"),
      password: password ? undefined : t("sign_in.password_missing"),
    };
    setMissing(gaps);
    if (gaps.login) loginRef.current?.focus();
    else if (gaps.password) passwordRef.current?.focus();
    else if (!enter.isPending) enter.mutate();
  };

  return (
    <div className={classes.page}>
      <header className={classes.header}>
        <span className={classes.brand}>
          <Brand />
        </span>
        <Group gap={4}>
          <LanguageToggle />
          <SchemeToggle />
        </Group>
      </header>
      <main className={classes.main}>
        <Paper className={classes.card}>
          <Title order={1}>{t("sign_in.title")}</Title>
          <Text c="dimmed" mt={4} mb="md">
            {t("sign_in.lead")}
          </Text>
          <form onSubmit={submit} noValidate>
            <Stack gap="sm">
              {enter.isError ? (
                <Problem error={enter.error} />
              ) : (
                ended && (
                  <Alert role="status" variant="default" icon={<IconInfoCircle stroke={1.5} aria-hidden />} title={t("sign_in.ended.title")}>
                    {t("sign_in.ended.text")}
                  </Alert>
                )
              )}
              <TextInput
                ref={loginRef}
                label={t("sign_in.login")}
                placeholder={t("sign_in.login_example")}
                type="email"
                inputMode="email"
                autoComplete="username"
                autoCapitalize="none"
                spellCheck={false}
                value={login}
                error={missing.login}
                onChange={(e) => {
                  setLogin(e.currentTarget.value);
                  setMissing({});
                }}
              />
              <PasswordInput
                ref={passwordRef}
                label={t("sign_in.password")}
                autoComplete="current-password"
                value={password}
                error={missing.password}
                visibilityToggleButtonProps={{ "aria-label": t("sign_in.show_password"), tabIndex: 0, "aria-hidden": false }}
                onChange={(e) => {
                  setPassword(e.currentTarget.value);
                  setMissing({});
                }}
              />
              <Button ref={submitRef} type="submit" loading={enter.isPending} mt="xs" fullWidth>
                {t("sign_in.submit")}
              </Button>
            </Stack>
          </form>
        </Paper>
        {info?.demo && (
          <DemoAccounts
            accounts={info.demo_accounts ?? []}
            password={info.demo_password ?? ""}
            onChoose={(account) => {
              setLogin(account);
              setPassword(info.demo_password ?? "");
              setMissing({});
              enter.reset();
              submitRef.current?.focus(); // Enter is all that is left to do
            }}
          />
        )}
      </main>
    </div>
  );
}

/** What went wrong, in words that blame nobody. */
function Problem({ error }: { error: Error }) {
  const { t } = useTranslation("app");
  const code = error instanceof ApiError ? error.code : "internal";
  const seconds = error instanceof ApiError ? error.retryAfter : undefined;
  const kind =
    code === "unauthenticated" || code === "invalid" ? "wrong"
    : code === "rate_limited" ? "rate_limited"
    : code === "offline" || code === "unavailable" ? "away"
    : "internal";
  return (
    <Alert role="alert" variant="default" icon={<IconAlertTriangle stroke={1.5} color="var(--commsd-bad)" aria-hidden />} title={t(`sign_in.problem.${kind}.title`)}>
      {kind === "rate_limited" && seconds ? t("sign_in.problem.wait", { count: seconds }) : t(`sign_in.problem.${kind}.text`)}
    </Alert>
  );
}
