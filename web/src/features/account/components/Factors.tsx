import { ActionIcon, Alert, Button, Modal, Text, Tooltip } from "@mantine/core";
import { IconDeviceMobile, IconFingerprint, IconInfoCircle, IconKey, IconPencil, IconPlus, IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { useSession } from "../../../api/session";
import { formatDate, formatWhen } from "../../../lib/dates";
import { useLang } from "../../../lib/i18n";
import { createPasskey, passkeysSupported } from "../../../lib/webauthn";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import { addPasskey, beginTotp, confirmTotp, factorsQuery, newRecoveryCodes, passkeyCreation, removePasskey, removeTotp, renamePasskey, type Factors as State, type Passkey } from "../api";
import { AskFirst } from "./AskFirst";
import { NameDialog } from "./NameDialog";
import { Problem } from "./Problem";
import { RecoveryCodes } from "./RecoveryCodes";
import { Row, Rows, Section } from "./Section";
import { TotpSetup } from "./TotpSetup";

const icon = { size: 16, stroke: 1.5, "aria-hidden": true } as const;

/** The second factors: passkeys, an authenticator application, recovery codes. */
export function Factors() {
  const { t } = useTranslation("account");
  const { data, error, refetch } = useQuery(factorsQuery);
  if (error) return <ErrorState code={codeOf(error)} title={t("factors.load_failed")} onRetry={() => void refetch()} />;
  return (
    <>
      {data?.required && data.passkeys.length === 0 && !data.totp && (
        <Alert variant="default" mb="md" icon={<IconInfoCircle stroke={1.5} color="var(--commsd-warn)" aria-hidden />} title={t("factors.required")}>
          {t("factors.required_text")}
        </Alert>
      )}
      <Section title={t("passkeys.title")} description={t("passkeys.lead")} action={data && <AddPasskey available={data.passkeys_available} />}>
        {data ? <Passkeys state={data} /> : <ListSkeleton rows={1} />}
      </Section>
      <Section title={t("totp.title")} description={t("totp.lead")} action={data && <SetUpTotp again={!!data.totp} />}>
        {data ? <Totp state={data} /> : <ListSkeleton rows={1} />}
      </Section>
      <Section title={t("codes.title")} description={t("codes.about")} action={data && <MakeCodes state={data} />}>
        {data ? (
          <Text>
            {data.recovery_codes.made_at
              ? t("codes.left", { count: data.recovery_codes.left, date: formatDate(data.recovery_codes.made_at) })
              : t("codes.none")}
          </Text>
        ) : (
          <ListSkeleton rows={1} />
        )}
      </Section>
    </>
  );
}

function useFresh() {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: factorsQuery.queryKey });
}

/** When something was last used: "dùng lần cuối 5 phút trước". */
function useUsed() {
  const { t } = useTranslation("account");
  const lang = useLang();
  return (at: string | undefined) => (at ? t("used", { when: formatWhen(at, lang) }) : t("used_never"));
}

function AddPasskey({ available }: { available: boolean }) {
  const { t } = useTranslation("account");
  const fresh = useFresh();
  const [naming, setNaming] = useState(false);
  if (!available || !passkeysSupported()) {
    return (
      <Text size="sm" c="dimmed">
        {t("passkeys.not_here")}
      </Text>
    );
  }
  return (
    <>
      <Button size="sm" variant="default" leftSection={<IconPlus {...icon} />} onClick={() => setNaming(true)}>
        {t("passkeys.add")}
      </Button>
      {naming && (
        <NameDialog
          title={t("passkeys.add")}
          lead={t("passkeys.add_lead")}
          label={t("passkeys.name")}
          placeholder={t("passkeys.name_example")}
          action={t("passkeys.make")}
          failed={t("passkeys.add_failed")}
          words={{ conflict: t("problem.passkey.known") }}
          save={async (name) => {
            const options = await passkeyCreation();
            await addPasskey(name, await createPasskey(options));
            await fresh();
          }}
          onClose={() => setNaming(false)}
        />
      )}
    </>
  );
}

function Passkeys({ state }: { state: State }) {
  const { t } = useTranslation("account");
  const used = useUsed();
  const fresh = useFresh();
  const [renaming, setRenaming] = useState<Passkey | null>(null);
  const [removing, setRemoving] = useState<Passkey | null>(null);
  if (state.passkeys.length === 0) return <Text c="dimmed">{t("passkeys.none")}</Text>;
  return (
    <>
      <Rows label={t("passkeys.title")}>
        {state.passkeys.map((p) => (
          <Row
            key={p.id}
            icon={<IconFingerprint size={20} stroke={1.5} />}
            title={p.name}
            actions={
              <>
                <Tooltip label={t("rename")}>
                  <ActionIcon variant="default" size="lg" aria-label={t("rename_of", { name: p.name })} onClick={() => setRenaming(p)}>
                    <IconPencil {...icon} />
                  </ActionIcon>
                </Tooltip>
                <Tooltip label={t("remove")}>
                  <ActionIcon variant="default" size="lg" aria-label={t("remove_of", { name: p.name })} onClick={() => setRemoving(p)}>
                    <IconTrash {...icon} />
                  </ActionIcon>
                </Tooltip>
              </>
            }
          >
            {[t(p.synced ? "passkeys.synced" : "passkeys.bound"), t("added", { date: formatDate(p.added_at) }), used(p.used_at)].join(" · ")}
          </Row>
        ))}
      </Rows>
      {renaming && (
        <NameDialog
          title={t("passkeys.rename")}
          label={t("passkeys.name")}
          initial={renaming.name}
          action={t("save")}
          failed={t("passkeys.rename_failed")}
          save={async (name) => {
            await renamePasskey(renaming.id, name);
            await fresh();
          }}
          onClose={() => setRenaming(null)}
        />
      )}
      {removing && (
        <AskFirst
          title={t("passkeys.remove_ask", { name: removing.name })}
          text={t("passkeys.remove_lost")}
          action={t("remove")}
          failed={t("passkeys.remove_failed")}
          words={{ conflict: t("factors.last") }}
          run={async () => {
            await removePasskey(removing.id);
            await fresh();
          }}
          onClose={() => setRemoving(null)}
        />
      )}
    </>
  );
}

function Totp({ state }: { state: State }) {
  const { t } = useTranslation("account");
  const used = useUsed();
  const fresh = useFresh();
  const [removing, setRemoving] = useState(false);
  if (!state.totp) return <Text c="dimmed">{t("totp.none")}</Text>;
  return (
    <>
      <Rows label={t("totp.title")}>
        <Row
          icon={<IconDeviceMobile size={20} stroke={1.5} />}
          title={t("totp.set")}
          actions={
            <Button variant="default" size="xs" onClick={() => setRemoving(true)}>
              {t("totp.remove")}
            </Button>
          }
        >
          {[t("added", { date: formatDate(state.totp.added_at) }), used(state.totp.used_at)].join(" · ")}
        </Row>
      </Rows>
      {removing && (
        <AskFirst
          title={t("totp.remove_ask")}
          text={t("totp.remove_lost")}
          action={t("totp.remove")}
          failed={t("totp.remove_failed")}
          words={{ conflict: t("factors.last") }}
          run={async () => {
            await removeTotp();
            await fresh();
          }}
          onClose={() => setRemoving(false)}
        />
      )}
    </>
  );
}

function SetUpTotp({ again }: { again: boolean }) {
  const { t } = useTranslation("account");
  const fresh = useFresh();
  const begin = useMutation({ mutationFn: beginTotp });
  const confirm = useMutation({
    meta: { inline: true },
    mutationFn: confirmTotp,
    onSuccess: async () => {
      begin.reset();
      await fresh();
    },
  });
  const close = () => {
    begin.reset();
    confirm.reset();
  };
  return (
    <>
      <Button size="sm" variant="default" loading={begin.isPending} leftSection={again ? <IconPencil {...icon} /> : <IconPlus {...icon} />} onClick={() => begin.mutate()}>
        {again ? t("totp.replace") : t("totp.set_up")}
      </Button>
      {begin.data && (
        <Modal opened onClose={close} title={t("totp.set_up")} size="lg" closeButtonProps={{ "aria-label": t("close") }}>
          <TotpSetup
            secret={begin.data.secret}
            qr={begin.data.qr}
            busy={confirm.isPending}
            error={confirm.error}
            onConfirm={(code) => confirm.mutate(code)}
            beside={
              <Button variant="default" onClick={close}>
                {t("cancel")}
              </Button>
            }
          />
        </Modal>
      )}
    </>
  );
}

function MakeCodes({ state }: { state: State }) {
  const { t } = useTranslation("account");
  const { person } = useSession();
  const fresh = useFresh();
  const [asking, setAsking] = useState(false);
  const make = useMutation({ meta: { inline: true }, mutationFn: newRecoveryCodes });
  const made = !!state.recovery_codes.made_at;
  const close = () => {
    make.reset();
    void fresh();
  };
  return (
    <>
      <Button size="sm" variant="default" loading={make.isPending} leftSection={<IconKey {...icon} />} onClick={() => (made ? setAsking(true) : make.mutate())}>
        {made ? t("codes.again") : t("codes.make")}
      </Button>
      <Problem error={make.error} title={t("codes.failed")} words={{ conflict: t("codes.need_factor") }} />
      {asking && (
        <AskFirst
          title={t("codes.again_ask")}
          text={t("codes.again_lost")}
          action={t("codes.again")}
          failed={t("codes.failed")}
          run={() => make.mutateAsync()}
          onClose={() => setAsking(false)}
        />
      )}
      {make.data && !asking && (
        <Modal opened onClose={() => {}} withCloseButton={false} closeOnEscape={false} closeOnClickOutside={false} title={t("codes.title")} size="lg">
          <RecoveryCodes codes={make.data} login={person.address} action={t("done")} onKept={close} />
        </Modal>
      )}
    </>
  );
}
