import { Badge, Button, Group, Menu, Text, TextInput, Title } from "@mantine/core";
import { IconChevronDown, IconKey, IconLock, IconLockOpen, IconUserPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Agency } from "../../../api/directory";
import { codeOf } from "../../../api/error";
import { useSession } from "../../../api/session";
import { formatDate, formatDateTime, formatWhen } from "../../../lib/dates";
import { useLang } from "../../../lib/i18n";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import { toast } from "../../../ui/toast";
import { accountQuery, createAccount, takeStep, type Account, type Step } from "../account";
import { useAct } from "../api";
import type { PersonRecord } from "../people";
import { holds } from "../scope";
import { CodeDialog } from "./CodeDialog";
import { Confirm, Problem } from "./Dialogs";
import classes from "./Admin.module.css";

/** A person's account: how they sign in, and what an administrator does when that goes wrong. */
export function AccountPart({ person, agency }: { person: PersonRecord; agency: Agency }) {
  const { t } = useTranslation("admin");
  const { grants, person: me } = useSession();
  const { data: account, error, refetch } = useQuery({ ...accountQuery(person.id), enabled: person.has_account });
  const create = useAct(createAccount);
  const [code, setCode] = useState(false);
  const admin = holds(grants, ["system_admin", "agency_admin"], agency.id);
  return (
    <section className={classes.part} aria-label={t("account.title")}>
      <Group gap="xs" mb="xs">
        <Title order={3}>{t("account.title")}</Title>
        {account && (
          <Badge variant="default" size="sm">
            {t(`account.state.${account.state}`)}
          </Badge>
        )}
      </Group>
      {!person.has_account ? (
        <>
          <Text c="dimmed" mb="sm">
            {t(person.address ? "account.none" : "account.noAddress")}
          </Text>
          <Problem error={create.error} title={t("account.createFailed")} />
          {admin && person.address && (
            <Button
              variant="default" leftSection={<IconUserPlus size={16} stroke={1.5} aria-hidden />} loading={create.isPending}
              onClick={() => create.mutate(person.id, { onSuccess: () => setCode(true) })}
            >
              {t("account.create")}
            </Button>
          )}
        </>
      ) : account ? (
        <Known account={account} person={person} admin={admin} self={person.id === me.id} onCode={() => setCode(true)} />
      ) : error ? (
        <ErrorState compact code={codeOf(error)} title={t("account.failed")} onRetry={() => void refetch()} />
      ) : (
        <ListSkeleton rows={2} />
      )}
      {code && <CodeDialog person={person} outside={account?.outside_address ?? ""} onClose={() => setCode(false)} />}
    </section>
  );
}

function Known({ account, person, admin, self, onCode }: { account: Account; person: PersonRecord; admin: boolean; self: boolean; onCode: () => void }) {
  const { t } = useTranslation("admin");
  const lang = useLang();
  const [step, setStep] = useState<Step>();
  const disabled = account.state === "disabled";
  const factors = account.factors.map((f) => t(`account.factor.${f as "totp" | "passkey" | "recovery_code"}`));
  return (
    <>
      <dl className={classes.facts}>
        <dt>{t("account.login")}</dt>
        <dd>{account.login}</dd>
        {disabled && account.disabled_at && (
          <>
            <dt>{t("account.disabledAt")}</dt>
            <dd className="tabular">{formatDateTime(account.disabled_at)}</dd>
          </>
        )}
        <dt>{t("account.password")}</dt>
        <dd>{account.has_password ? t(account.must_change ? "account.mustChange" : "account.changedAt", { date: formatDate(account.password_changed_at) }) : t("account.noPassword")}</dd>
        <dt>{t("account.factors")}</dt>
        <dd>{factors.length > 0 ? factors.join(", ") : t("account.noFactors")}</dd>
        {account.code_until && (
          <>
            <dt>{t("account.code")}</dt>
            <dd className="tabular">{t("account.codeUntil", { date: formatDateTime(account.code_until) })}</dd>
          </>
        )}
        <dt>{t("account.apps")}</dt>
        <dd className="tabular">{account.app_passwords}</dd>
        <dt>{t("account.sessions")}</dt>
        <dd>
          {account.sessions.length === 0
            ? t("account.noSessions")
            : account.sessions.map((s) => <div key={s.id}>{t("account.session", { address: s.address, when: formatWhen(s.last_seen_at, lang) })}</div>)}
        </dd>
      </dl>
      {self ? (
        <Text c="dimmed" mt="sm">
          {t("account.self")}
        </Text>
      ) : (
        <Group gap="xs" mt="md">
          {admin && !disabled && (
            <Button variant="default" leftSection={<IconKey size={16} stroke={1.5} aria-hidden />} onClick={onCode}>
              {t("account.makeCode")}
            </Button>
          )}
          <Button
            variant="default" leftSection={disabled ? <IconLockOpen size={16} stroke={1.5} aria-hidden /> : <IconLock size={16} stroke={1.5} aria-hidden />}
            onClick={() => setStep(disabled ? "enable" : "disable")}
          >
            {t(disabled ? "account.step.enable.do" : "account.step.disable.do")}
          </Button>
          <Menu position="bottom-end">
            <Menu.Target>
              <Button variant="default" rightSection={<IconChevronDown size={16} stroke={1.5} aria-hidden />}>
                {t("account.more")}
              </Button>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item onClick={() => setStep("endSessions")}>{t("account.step.endSessions.do")}</Menu.Item>
              {admin && (
                <>
                  <Menu.Item onClick={() => setStep("newPassword")}>{t("account.step.newPassword.do")}</Menu.Item>
                  <Menu.Item disabled={account.factors.length === 0} onClick={() => setStep("removeFactors")}>
                    {t("account.step.removeFactors.do")}
                  </Menu.Item>
                </>
              )}
            </Menu.Dropdown>
          </Menu>
        </Group>
      )}
      {step && <StepDialog step={step} person={person} onClose={() => setStep(undefined)} />}
    </>
  );
}

/** Says what a step ends, and asks why where the log wants it. */
function StepDialog({ step, person, onClose }: { step: Step; person: PersonRecord; onClose: () => void }) {
  const { t } = useTranslation("admin");
  const [reason, setReason] = useState("");
  const act = useAct(takeStep);
  const asks = step === "disable" || step === "enable";
  return (
    <Confirm
      title={t(`account.step.${step}.title`, { name: person.name })} submit={t(`account.step.${step}.do`)} failed={t("account.stepFailed")} error={act.error} busy={act.isPending}
      incomplete={asks && !reason.trim()} onClose={onClose}
      onSubmit={() =>
        act.mutate(
          { person: person.id, step, reason: reason.trim() },
          {
            onSuccess: () => {
              onClose();
              toast.show({ message: t(`account.step.${step}.done`, { name: person.name }) });
            },
          },
        )
      }
    >
      <Text>{t(`account.step.${step}.text`, { name: person.name })}</Text>
      {asks && <TextInput label={t("account.reason")} description={t("account.reasonHint")} required data-autofocus maxLength={500} value={reason} onChange={(e) => setReason(e.currentTarget.value)} />}
    </Confirm>
  );
}
