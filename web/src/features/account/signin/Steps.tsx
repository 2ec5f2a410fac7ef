import { Button, Stack, Text, Title } from "@mantine/core";
import { useMutation, type UseMutationResult } from "@tanstack/react-query";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import type { Entered, NextStep, Pending } from "../../../api/sign-in";
import { nextPasskeyOptions, signInNext, type Proof } from "../../../api/sign-in-steps";
import { passkeysSupported, provePasskey } from "../../../lib/webauthn";
import { DigitsField, PrintedCodeField } from "../components/CodeField";
import { Problem } from "../components/Problem";
import { ChoosePassword } from "./ChoosePassword";
import { Enroll } from "./Enroll";
import classes from "./Steps.module.css";

export interface StepProps {
  pending: Pending;
  login: string;
  onEntered: (answer: Entered) => Promise<void>;
  /** The ticket is no more: it took too long, or too many wrong answers. */
  onExpired: () => void;
  onBack: () => void;
}

const proofs = ["passkey", "totp", "recovery_code"] as const;
type Way = (typeof proofs)[number];

/** What an account asks beside its password, one thing at a time. */
export default function Steps(props: StepProps) {
  const { next } = props.pending;
  if (next.includes("change_password")) return <ChoosePassword {...props} />;
  if (next.includes("enroll")) return <Enroll {...props} />;
  return <SecondFactor {...props} />;
}

/** Answers a step; a ticket that is no more begins the sign-in anew. */
export function useStep<T>({ onEntered, onExpired }: StepProps, answer: (value: T) => Promise<Entered>): UseMutationResult<Entered, Error, T> {
  return useMutation({
    meta: { inline: true },
    mutationFn: answer,
    onSuccess: onEntered,
    onError: (err) => codeOf(err) === "gone" && onExpired(),
  });
}

function SecondFactor(props: StepProps) {
  const { t } = useTranslation("account");
  const { pending, onBack } = props;
  const offered = proofs.filter((w) => (pending.next as NextStep[]).includes(w) && (w !== "passkey" || passkeysSupported()));
  const [way, setWay] = useState<Way>(offered[0] ?? "recovery_code");
  return (
    <Stack gap="sm">
      <div>
        <Title order={1}>{t(`signin.way.${way}.title`)}</Title>
        <Text c="dimmed" mt={4}>
          {t(`signin.way.${way}.lead`)}
        </Text>
      </div>
      {way === "passkey" ? <ByPasskey {...props} /> : <ByCode key={way} way={way} {...props} />}
      <ul className={classes.ways} aria-label={t("signin.other_ways")}>
        {offered
          .filter((w) => w !== way)
          .map((w) => (
            <li key={w}>
              <Button variant="subtle" color="gray" size="compact-sm" onClick={() => setWay(w)}>
                {t(`signin.way.${w}.choose`)}
              </Button>
            </li>
          ))}
        <li>
          <Button variant="subtle" color="gray" size="compact-sm" onClick={onBack}>
            {t("signin.other_login")}
          </Button>
        </li>
      </ul>
    </Stack>
  );
}

function ByCode({ way, ...props }: StepProps & { way: "totp" | "recovery_code" }) {
  const { t } = useTranslation("account");
  const [code, setCode] = useState("");
  const [missing, setMissing] = useState(false);
  const field = useFocus();
  const step = useStep(props, (proof: Proof) => signInNext(props.pending.ticket, proof));
  const whole = way === "totp" ? code.length === 6 : code.trim() !== "";
  return (
    <form
      noValidate
      onSubmit={(e) => {
        e.preventDefault();
        setMissing(!whole);
        if (!whole) field.current?.focus();
        else if (!step.isPending) step.mutate(way === "totp" ? { totp: code } : { recovery_code: code.trim() }, { onError: () => field.current?.select() });
      }}
    >
      <Stack gap="sm">
        <Problem error={step.error} title={t("signin.proof_failed")} words={{ unauthenticated: t(`signin.way.${way}.wrong`), invalid: t(`signin.way.${way}.wrong`) }} />
        {way === "totp" ? (
          <DigitsField inputRef={field} label={t("totp.code")} value={code} error={missing && !whole ? t("totp.missing") : undefined} onChange={setCode} />
        ) : (
          <PrintedCodeField inputRef={field} label={t("signin.way.recovery_code.field")} value={code} error={missing && !whole ? t("signin.code_missing") : undefined} onChange={setCode} />
        )}
        <Button type="submit" loading={step.isPending} fullWidth>
          {t("signin.confirm")}
        </Button>
      </Stack>
    </form>
  );
}

function ByPasskey(props: StepProps) {
  const { t } = useTranslation("account");
  const step = useStep(props, async () => {
    const { options } = await nextPasskeyOptions(props.pending.ticket);
    return signInNext(props.pending.ticket, { passkey: await provePasskey(options) });
  });
  return (
    <Stack gap="sm">
      <Problem error={step.error} title={t("signin.passkey_failed")} words={{ unauthenticated: t("signin.passkey_unknown") }} />
      <Focused>
        <Button loading={step.isPending} fullWidth onClick={() => step.mutate(undefined)}>
          {t("signin.way.passkey.use")}
        </Button>
      </Focused>
    </Stack>
  );
}

/** The field that a step begins with has the focus. */
export function useFocus() {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return field;
}

function Focused({ children }: { children: ReactNode }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => box.current?.querySelector("button")?.focus(), []);
  return <div ref={box}>{children}</div>;
}
