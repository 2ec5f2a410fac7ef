import { Button, Group, Stack, Text, TextInput, Title } from "@mantine/core";
import { IconDeviceMobile, IconFingerprint } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import type { Entered } from "../../../api/sign-in";
import { nextPasskeyOptions, nextTotp, signInNext } from "../../../api/sign-in-steps";
import { createPasskey, passkeysSupported } from "../../../lib/webauthn";
import { newRecoveryCodes } from "../api";
import { Problem } from "../components/Problem";
import { RecoveryCodes } from "../components/RecoveryCodes";
import { TotpSetup } from "../components/TotpSetup";
import { deviceOf } from "../device";
import type { StepProps } from "./Steps";

/**
 * A second factor for who must have one: an authenticator app or a passkey, and
 * recovery codes before one goes to work.
 */
export function Enroll({ pending, login, onEntered, onExpired, onBack }: StepProps) {
  const { t } = useTranslation("account");
  const [way, setWay] = useState<"totp" | "passkey" | null>(null);
  const [done, setDone] = useState<Entered | null>(null);
  const begin = useMutation({
    meta: { inline: true },
    mutationFn: () => nextTotp(pending.ticket),
    onSuccess: () => setWay("totp"),
    onError: (err) => codeOf(err) === "gone" && onExpired(),
  });
  const codes = useMutation({ meta: { inline: true }, mutationFn: newRecoveryCodes });
  const finish = useMutation({
    meta: { inline: true },
    mutationFn: async (proof: { totp: string } | { name: string }) => {
      if ("totp" in proof) return signInNext(pending.ticket, { totp: proof.totp });
      const { options } = await nextPasskeyOptions(pending.ticket);
      return signInNext(pending.ticket, { passkey: await createPasskey(options), passkey_name: proof.name });
    },
    onSuccess: async (answer) => {
      if ("pending" in answer) return onEntered(answer);
      setDone(answer); // one is in already; the codes come first
      await codes.mutateAsync().catch(() => {});
    },
    onError: (err) => codeOf(err) === "gone" && onExpired(),
  });
  const other = (
    <Button
      variant="default"
      onClick={() => {
        finish.reset();
        setWay(null);
      }}
    >
      {t("back")}
    </Button>
  );

  return (
    <Stack gap="sm">
      <div>
        <Title order={1}>{done ? t("codes.title") : t("signin.enroll")}</Title>
        {!done && (
          <Text c="dimmed" mt={4}>
            {t("signin.enroll_lead")}
          </Text>
        )}
      </div>
      {done ? (
        codes.data ? (
          <RecoveryCodes codes={codes.data} login={login} action={t("signin.enter")} onKept={() => void onEntered(done)} />
        ) : (
          <>
            <Problem error={codes.error} title={t("codes.failed")} />
            {codes.isError && (
              <Group justify="space-between">
                <Button variant="default" onClick={() => void onEntered(done)}>
                  {t("signin.enter")}
                </Button>
                <Button onClick={() => codes.mutate()}>{t("codes.make")}</Button>
              </Group>
            )}
          </>
        )
      ) : way === "totp" && begin.data ? (
        <TotpSetup secret={begin.data.secret} qr={begin.data.qr} busy={finish.isPending} error={finish.error} beside={other} onConfirm={(code) => finish.mutate({ totp: code })} />
      ) : way === "passkey" ? (
        <MakePasskey busy={finish.isPending} error={finish.error} beside={other} onMake={(name) => finish.mutate({ name })} />
      ) : (
        <>
          <Problem error={begin.error} title={t("signin.enroll_failed")} />
          {passkeysSupported() && (
            <Button leftSection={<IconFingerprint size={18} stroke={1.5} aria-hidden />} onClick={() => setWay("passkey")}>
              {t("passkeys.add")}
            </Button>
          )}
          <Button variant="default" loading={begin.isPending} leftSection={<IconDeviceMobile size={18} stroke={1.5} aria-hidden />} onClick={() => begin.mutate()}>
            {t("totp.set_up")}
          </Button>
          <Button variant="subtle" color="gray" size="compact-sm" onClick={onBack}>
            {t("signin.other_login")}
          </Button>
        </>
      )}
    </Stack>
  );
}

interface MakeProps {
  busy: boolean;
  error: unknown;
  beside: React.ReactNode;
  onMake: (name: string) => void;
}

function MakePasskey({ busy, error, beside, onMake }: MakeProps) {
  const { t } = useTranslation("account");
  const [name, setName] = useState(() => {
    const { browser, system } = deviceOf(navigator.userAgent);
    return browser && system ? t("sessions.device", { browser, system }) : "";
  });
  return (
    <form
      noValidate
      onSubmit={(e) => {
        e.preventDefault();
        if (!busy) onMake(name.trim());
      }}
    >
      <Stack gap="sm">
        <Text>{t("passkeys.add_lead")}</Text>
        <Problem error={error} title={t("passkeys.add_failed")} />
        <TextInput label={t("passkeys.name")} value={name} maxLength={60} onChange={(e) => setName(e.currentTarget.value)} />
        <Group justify="flex-end">
          {beside}
          <Button type="submit" loading={busy}>
            {t("passkeys.make")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
