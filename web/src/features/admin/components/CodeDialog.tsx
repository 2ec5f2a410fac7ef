import { Button, Checkbox, Group, Modal, Stack, Text } from "@mantine/core";
import { IconMail, IconPrinter } from "@tabler/icons-react";
import { useState } from "react";
import { createPortal } from "react-dom";
import { useTranslation } from "react-i18next";
import { formatDateTime } from "../../../lib/dates";
import { makeCode, type Code } from "../account";
import { useAct } from "../api";
import type { PersonRecord } from "../people";
import { Problem } from "./Dialogs";
import classes from "./CodeDialog.module.css";

/** Makes a one-time code, by which a person sets a password; to print on a small sheet, or to send outside. */
export function CodeDialog({ person, outside, onClose }: { person: PersonRecord; outside: string; onClose: () => void }) {
  const { t } = useTranslation("admin");
  const [apps, setApps] = useState(false);
  const [code, setCode] = useState<Code>();
  const act = useAct(makeCode);
  const make = (send: boolean) => act.mutate({ person: person.id, send, end_app_passwords: apps }, { onSuccess: setCode });
  return (
    <Modal opened onClose={onClose} title={t("code.title", { name: person.name })} closeButtonProps={{ "aria-label": t("close") }}>
      {!code ? (
        <Stack gap="md">
          <Problem error={act.error} title={t("code.failed")} />
          <Text>{t("code.text")}</Text>
          <Checkbox label={t("code.apps")} checked={apps} onChange={(e) => setApps(e.currentTarget.checked)} />
          <Group justify="flex-end">
            {outside && (
              <Button variant="default" leftSection={<IconMail size={16} stroke={1.5} aria-hidden />} loading={act.isPending} onClick={() => make(true)}>
                {t("code.send", { address: outside })}
              </Button>
            )}
            <Button data-autofocus loading={act.isPending} onClick={() => make(false)}>
              {t("code.make")}
            </Button>
          </Group>
        </Stack>
      ) : code.code ? (
        <Stack gap="md">
          <Text>{t("code.once")}</Text>
          <p className={classes.code}>{code.code}</p>
          <Text c="dimmed">{t("code.until", { date: formatDateTime(code.expires_at) })}</Text>
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {t("close")}
            </Button>
            <Button leftSection={<IconPrinter size={16} stroke={1.5} aria-hidden />} onClick={() => window.print()}>
              {t("code.print")}
            </Button>
          </Group>
          <Sheet person={person} code={code.code} until={code.expires_at} />
        </Stack>
      ) : (
        <Stack gap="md">
          <Text>{t("code.sent", { address: code.sent_to ?? "", date: formatDateTime(code.expires_at) })}</Text>
          <Group justify="flex-end">
            <Button onClick={onClose}>{t("close")}</Button>
          </Group>
        </Stack>
      )}
    </Modal>
  );
}

/** What the printer gets instead of the page: a slip to hand over in an envelope. */
function Sheet({ person, code, until }: { person: PersonRecord; code: string; until: string }) {
  const { t } = useTranslation("admin");
  return createPortal(
    <div className={classes.sheet} aria-hidden>
      <h1>{t("code.sheetTitle")}</h1>
      <dl>
        <dt>{t("code.for")}</dt>
        <dd>{person.name}</dd>
        <dt>{t("code.page")}</dt>
        <dd>{location.origin}</dd>
        <dt>{t("account.login")}</dt>
        <dd>{person.address}</dd>
        <dt>{t("account.code")}</dt>
        <dd className={classes.code}>{code}</dd>
        <dt>{t("code.valid")}</dt>
        <dd>{formatDateTime(until)}</dd>
      </dl>
      <p>{t("code.how")}</p>
    </div>,
    document.body,
  );
}
