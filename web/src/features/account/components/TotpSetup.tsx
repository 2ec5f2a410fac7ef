import { Button, Code, CopyButton, Group, Stack, Text } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import { useRef, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { DigitsField } from "./CodeField";
import { Problem } from "./Problem";
import classes from "./TotpSetup.module.css";

interface Props {
  /** The secret, as one types it, and its picture. */
  secret: string;
  qr: string;
  /** Confirms with the first code. */
  onConfirm: (code: string) => void;
  busy: boolean;
  error: unknown;
  /** Buttons beside the confirming one. */
  beside?: ReactNode;
}

/** An authenticator application: its picture to scan, its secret to type, and the first code as the proof. */
export function TotpSetup({ secret, qr, onConfirm, busy, error, beside }: Props) {
  const { t } = useTranslation("account");
  const [code, setCode] = useState("");
  const [missing, setMissing] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const groups = secret.replaceAll(" ", "").match(/.{1,4}/g)?.join(" ") ?? secret;
  const icon = { size: 14, stroke: 1.5, "aria-hidden": true } as const;
  return (
    <form
      noValidate
      onSubmit={(e) => {
        e.preventDefault();
        setMissing(code.length < 6);
        if (code.length < 6) field.current?.focus();
        else if (!busy) onConfirm(code);
      }}
    >
      <Stack gap="sm">
        <ol className={classes.steps}>
          <li>{t("totp.step_app")}</li>
          <li>
            {t("totp.step_scan")}
            <img className={classes.qr} src={qr} alt={t("totp.qr")} width={176} height={176} />
            <Text size="sm" c="dimmed">
              {t("totp.by_hand")}
            </Text>
            <Group gap="xs" mt={4}>
              <Code className={classes.secret}>{groups}</Code>
              <CopyButton value={secret}>
                {({ copied, copy }) => (
                  <Button variant="subtle" color="gray" size="compact-sm" leftSection={copied ? <IconCheck {...icon} /> : <IconCopy {...icon} />} onClick={copy}>
                    {copied ? t("copied") : t("copy")}
                  </Button>
                )}
              </CopyButton>
            </Group>
          </li>
          <li>{t("totp.step_code")}</li>
        </ol>
        <Problem error={error} title={t("totp.wrong")} words={{ invalid: t("totp.wrong_text"), unauthenticated: t("totp.wrong_text") }} />
        <DigitsField inputRef={field} label={t("totp.code")} value={code} error={missing && code.length < 6 ? t("totp.missing") : undefined} onChange={setCode} />
        <Group justify="flex-end">
          {beside}
          <Button type="submit" loading={busy}>
            {t("totp.confirm")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
