import { Button, Group, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useRouter, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useEffectEvent, useRef, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { ApiError, type ErrorCode } from "../api/error";
import { infoQuery } from "../api/info";
import { sessionQuery } from "../api/session";
import { setActivePosition } from "../api/session-state";
import { signIn, type Entered, type Pending } from "../api/sign-in";
import { i18n } from "../lib/i18n";
import { useDraft } from "../lib/draft";
import { paths, safeReturn, type Place } from "../lib/paths";
import { usePageTitle } from "../lib/title";
import { Brand } from "./Brand";
import { LanguageToggle, SchemeToggle } from "./Preferences";
import classes from "./SignInPage.module.css";

// What comes after the password, and the ways in without one, are not everybody's: their code and words come when asked for.
const Steps = lazy(() => import("../features/account/signin/Steps"));
const ByCode = lazy(() => import("../features/account/signin/ByCode"));
const News = lazy(() => import("../features/account/signin/News"));
const loadProblem = () => Promise.all([import("../features/account/signin/WayProblem"), i18n.loadNamespaces("account")]).then(([m]) => m);
const WayProblem = lazy(loadProblem);
const DemoAccounts = lazy(() => import("./DemoAccounts"));
const Providers = lazy(() => import("../features/account/signin/Providers"));
const byPasskey = () => import("../features/account/signin/by-passkey");

/** Login and password, then what the account asks beside them; what was typed stays through every failure. */
export function SignInPage() {
  const { t } = useTranslation("app");
  usePageTitle(t("sign_in.title"));
  const place = useSearch({ strict: false }) as { to?: string; ended?: string; step?: string };
  const router = useRouter();
  const navigate = useNavigate();
  const queryClient = useQueryClient();
  const [login, setLogin, clearLogin] = useDraft("login", "");
  const [back] = useState(cameBack);
  const [pending, setPending] = useState<Pending | null>(back.pending);
  const [expired, setExpired] = useState(false);

  const entered = async (answer: Entered) => {
    setExpired(false);
    if ("pending" in answer) {
      setPending(answer.pending);
      // A step is a place: the browser's own Back leads to the password again.
      await navigate({ ...paths.signIn({ ...place, step: "next" }), replace: place.step === "next" });
      return;
    }
    clearLogin();
    setActivePosition(""); // a position of whoever was here before
    queryClient.removeQueries({ predicate: (q) => q.queryKey[0] !== "info" });
    queryClient.setQueryData(sessionQuery.queryKey, answer.session);
    router.history.push(safeReturn(place.to));
  };
  const startAgain = (because?: "expired") => {
    setPending(null);
    setExpired(because === "expired");
    void navigate({ ...paths.signIn({ ...place, step: undefined }), replace: true });
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
        {place.step === "code" ? (
          <Card>
            <ByCode login={login} onLogin={setLogin} onEntered={entered} onBack={() => startAgain()} />
          </Card>
        ) : (place.step === "next" || back.pending) && pending ? ( // a reload has forgotten the ticket, and begins again
          <Card>
            <Steps key={pending.ticket} pending={pending} login={login} onEntered={entered} onExpired={() => startAgain("expired")} onBack={() => startAgain()} />
          </Card>
        ) : (
          <ByPassword login={login} onLogin={setLogin} onEntered={entered} news={expired ? "expired" : place.ended ? "ended" : null} refused={back.refused} to={safeReturn(place.to)} codePlace={paths.signIn({ ...place, step: "code" })} />
        )}
      </main>
    </div>
  );
}

function Card({ children }: { children: ReactNode }) {
  return (
    <div className={classes.card}>
      <Suspense fallback={<div className={classes.coming} />}>{children}</Suspense>
    </div>
  );
}

interface Props {
  login: string;
  onLogin: (login: string) => void;
  onEntered: (answer: Entered) => Promise<void>;
  /** Why one is here again. */
  news: "ended" | "expired" | null;
  /** What an outside provider sent one back with. */
  refused: Refused | null;
  /** The page to open at the end. */
  to: string;
  /** Where a code is typed that an administrator has given. */
  codePlace: Place;
}

function ByPassword({ login, onLogin, onEntered, news, refused, to, codePlace }: Props) {
  const { t } = useTranslation("app");
  const { data: info } = useQuery(infoQuery);
  const [password, setPassword] = useState("");
  const [missing, setMissing] = useState<{ login?: string; password?: string }>({});
  const loginRef = useRef<HTMLInputElement>(null);
  const passwordRef = useRef<HTMLInputElement>(null);
  const submitRef = useRef<HTMLButtonElement>(null);
  const passkeys = typeof PublicKeyCredential === "function" && isSecureContext;

  const enter = useMutation({
    meta: { inline: true },
    mutationFn: () => signIn(login.trim(), password),
    onSuccess: onEntered,
    onError: () => passwordRef.current?.select(),
  });
  const passkey = useMutation({
    meta: { inline: true },
    mutationFn: async () => (await byPasskey()).byPasskey(),
    onSuccess: onEntered,
  });
  // The words for what goes wrong are there before the network can be gone.
  useEffect(() => void loadProblem().catch(() => {}), []);
  // Passkeys among the login's suggestions, where the browser has that.
  const answered = useEffectEvent(onEntered);
  useEffect(() => {
    if (!passkeys) return;
    const left = new AbortController();
    void byPasskey().then((m) => m.suggestPasskeys(left.signal, (answer) => void answered(answer)), () => {});
    return () => left.abort();
  }, [passkeys]);

  const failed =
    enter.error ? { way: "password", error: enter.error } as const
    : passkey.error ? { way: "passkey", error: passkey.error } as const
    : refused ? { way: refused.provider, error: new ApiError(refused.code, 0, refused.provider) }
    : null;

  const submit = (e: React.FormEvent) => {
    e.preventDefault();
    const gaps = {
      login: login.trim() ? undefined : t("sign_in.login_missing"),
      password: password ? undefined : t("sign_in.password_missing"),
    };
    setMissing(gaps);
    if (gaps.login) loginRef.current?.focus();
    else if (gaps.password) passwordRef.current?.focus();
    else if (!enter.isPending) {
      passkey.reset();
      enter.mutate();
    }
  };

  return (
    <>
      <div className={classes.card}>
        <Title order={1}>{t("sign_in.title")}</Title>
        <Text c="dimmed" mt={4} mb="md">
          {t("sign_in.lead")}
        </Text>
        <form onSubmit={submit} noValidate>
          <Stack gap="sm">
            <Suspense fallback={null}>{failed ? <WayProblem {...failed} /> : news && <News news={news} />}</Suspense>
            <TextInput
              ref={loginRef}
              label={t("sign_in.login")}
              placeholder={t("sign_in.login_example")}
              type="email"
              inputMode="email"
              autoComplete="username webauthn"
              autoCapitalize="none"
              spellCheck={false}
              value={login}
              error={missing.login}
              onChange={(e) => {
                onLogin(e.currentTarget.value);
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
            {passkeys && (
              <Button variant="default" fullWidth loading={passkey.isPending}
                onClick={() => {
                  enter.reset();
                  passkey.mutate();
                }}
              >
                {t("sign_in.passkey")}
              </Button>
            )}
            <Suspense fallback={null}>
              <Providers login={login} to={to} />
            </Suspense>
            <Link {...codePlace} className={classes.other}>
              {t("sign_in.have_code")}
            </Link>
          </Stack>
        </form>
      </div>
      {info?.demo && (
        <Suspense fallback={null}>
          <DemoAccounts
            accounts={info.demo_accounts ?? []}
            password={info.demo_password ?? ""}
            onChoose={(account) => {
              onLogin(account);
              setPassword(info.demo_password ?? "");
              setMissing({});
              enter.reset();
              submitRef.current?.focus(); // Enter is all that is left to do
            }}
          />
        </Suspense>
      )}
    </>
  );
}

interface Refused {
  code: ErrorCode;
  provider: string;
}

/** What an outside provider's answer has led to, as the server tells it behind the #; the ticket is in a cookie, so that no link brings one. It leaves the address at once. */
function cameBack(): { pending: Pending | null; refused: Refused | null } {
  const said = new URLSearchParams(location.hash.slice(1));
  const [next, error] = [said.get("next"), said.get("error")];
  if (next || error) history.replaceState(history.state, "", location.pathname + location.search);
  return {
    pending: next ? { ticket: "", next: next.split(" ") } : null,
    refused: error ? { code: error as ErrorCode, provider: (said.get("provider") ?? "").slice(0, 40) } : null,
  };
}
