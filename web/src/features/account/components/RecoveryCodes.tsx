import { Button, Checkbox, Group, Stack, Text } from "@mantine/core";
import { IconCheck, IconCopy, IconDownload, IconPrinter } from "@tabler/icons-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { formatDateTime } from "../../../lib/dates";
import classes from "./RecoveryCodes.module.css";

interface Props {
  codes: string[];
  /** Whose they are, for the printed sheet: the login. */
  login: string;
  /** They are kept; goes on. */
  onKept: () => void;
  /** What going on is called. */
  action: string;
}

/** Recovery codes, shown this once: copied, saved or printed, and gone when somebody says they are kept. */
export function RecoveryCodes({ codes, login, onKept, action }: Props) {
  const { t } = useTranslation("account");
  const [kept, setKept] = useState(false);
  const [copied, setCopied] = useState(false);
  const [made] = useState(() => formatDateTime(Date.now()));
  const sheet = [t("codes.sheet", { login }), t("codes.made", { at: made }), "", ...codes, "", t("codes.each_once")].join("\r\n");

  const copy = () =>
    navigator.clipboard.writeText(codes.join("\n")).then(
      () => setCopied(true),
      () => setCopied(false), // not allowed: the codes stand there to be written down
    );
  const save = () => {
    const url = URL.createObjectURL(new Blob(["\ufeff", sheet], { type: "text/plain;charset=utf-8" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = t("codes.file");
    link.click();
    URL.revokeObjectURL(url);
  };
  const icon = { size: 16, stroke: 1.5, "aria-hidden": true } as const;
  return (
    <Stack gap="sm">
      <Text>{t("codes.lead")}</Text>
      <div className={classes.sheet}>
        <p className={classes.heading}>
          {t("codes.sheet", { login })}
          <br />
          {t("codes.made", { at: made })}
        </p>
        <ol className={classes.codes} aria-label={t("codes.list")}>
          {codes.map((code) => (
            <li key={code}>{code}</li>
          ))}
        </ol>
        <p className={classes.heading}>{t("codes.each_once")}</p>
      </div>
      <Group gap="xs">
        <Button variant="default" size="sm" leftSection={copied ? <IconCheck {...icon} /> : <IconCopy {...icon} />} onClick={() => void copy()}>
          {copied ? t("copied") : t("codes.copy")}
        </Button>
        <Button variant="default" size="sm" leftSection={<IconDownload {...icon} />} onClick={save}>
          {t("codes.save")}
        </Button>
        <Button variant="default" size="sm" leftSection={<IconPrinter {...icon} />} onClick={() => window.print()}>
          {t("codes.print")}
        </Button>
      </Group>
      <Checkbox label={t("codes.kept")} checked={kept} onChange={(e) => setKept(e.currentTarget.checked)} />
      <Group justify="flex-end">
        <Button disabled={!kept} onClick={onKept}>
          {action}
        </Button>
      </Group>
    </Stack>
  );
}
