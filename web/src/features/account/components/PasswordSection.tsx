import { Button, Group, Modal, PasswordInput, Stack, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { sessionQuery } from "../../../api/session";
import { sessionEnded } from "../../../api/session-state";
import { formatDate } from "../../../lib/dates";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import { toast } from "../../../ui/toast";
import { accountQuery, changePassword, type Account } from "../api";
import { minOf, refusalOf } from "../refusal";
import { judge } from "../rules";
import { NewPassword } from "./NewPassword";
import { Problem } from "./Problem";
import { Section } from "./Section";

/** Whether and since when there is a password, and a new one. */
export function PasswordSection() {
  const { t } = useTranslation("account");
  const { data, error, refetch } = useQuery(accountQuery);
  const [changing, setChanging] = useState(false);
  if (error) return <ErrorState code={codeOf(error)} title={t("load_failed")} onRetry={() => void refetch()} />;
  return (
    <Section
      title={t("password.title")}
      action={
        data?.has_password && (
          <Button size="sm" variant="default" onClick={() => setChanging(true)}>
            {t("password.change")}
          </Button>
        )
      }
    >
      {data ? (
        <Text c="dimmed">{data.has_password ? t("password.since", { date: formatDate(data.password_changed_at) }) : t("password.outside")}</Text>
      ) : (
        <ListSkeleton rows={1} />
      )}
      {changing && data && <ChangeDialog account={data} onClose={() => setChanging(false)} />}
    </Section>
  );
}

function ChangeDialog({ account, onClose }: { account: Account; onClose: () => void }) {
  const { t } = useTranslation("account");
  const client = useQueryClient();
  const [current, setCurrent] = useState("");
  const [value, setValue] = useState("");
  const [repeated, setRepeated] = useState("");
  const [tried, setTried] = useState(false);
  const currentRef = useRef<HTMLInputElement>(null);
  const newRef = useRef<HTMLInputElement>(null);
  const rules = { min: account.policy.min_length, context: [account.login, account.person.name] };
  const long = judge(value, rules).length;
  const change = useMutation({
    meta: { inline: true },
    mutationFn: () => changePassword(current, value),
    onSuccess: async () => {
      onClose();
      toast.show({ title: t("password.changed"), message: t("password.changed_text") });
      await client.invalidateQueries({ queryKey: ["account"] });
    },
    onError: async (err) => {
      if (refusalOf(err)) newRef.current?.select();
      else if (codeOf(err) === "unauthenticated") {
        currentRef.current?.select();
        // A wrong password, or no session any more? Only the session itself can tell.
        if ((await client.fetchQuery({ ...sessionQuery, staleTime: 0 }).catch(() => true)) === null) sessionEnded();
      }
    },
  });
  const refusal = refusalOf(change.error);
  const wrong = codeOf(change.error) === "unauthenticated" && change.isError;
  const submit = (e: React.FormEvent) => {
    e.preventDefault();
    setTried(true);
    if (!current) currentRef.current?.focus();
    else if (!long) newRef.current?.focus();
    else if (value === repeated && !change.isPending) change.mutate();
  };
  return (
    <Modal opened onClose={onClose} title={t("password.change")} closeButtonProps={{ "aria-label": t("close") }}>
      <form onSubmit={submit} noValidate>
        <Stack gap="md">
          <Text c="dimmed">{t("password.change_lead")}</Text>
          {!refusal && !wrong && <Problem error={change.error} title={t("password.failed")} />}
          <input type="hidden" autoComplete="username" value={account.login} readOnly />
          <PasswordInput
            ref={currentRef}
            label={t("password.current")}
            autoComplete="current-password"
            value={current}
            data-autofocus
            error={tried && !current ? t("password.missing") : wrong ? t("lock.wrong") : undefined}
            visibilityToggleButtonProps={{ "aria-label": t("password.show"), tabIndex: 0, "aria-hidden": false }}
            onChange={(e) => {
              setCurrent(e.currentTarget.value);
              change.reset();
            }}
          />
          <NewPassword
            inputRef={newRef}
            rules={rules}
            value={value}
            repeated={repeated}
            error={refusal ? t(`password.refused.${refusal}`, { min: minOf(change.error) ?? rules.min }) : tried && !long ? t("password.refused.too_short", { min: rules.min }) : undefined}
            repeatedError={tried && long && value !== repeated ? t("password.differs") : undefined}
            onChange={(v, r) => {
              setValue(v);
              setRepeated(r);
              if (refusal) change.reset();
            }}
          />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {t("cancel")}
            </Button>
            <Button type="submit" loading={change.isPending}>
              {t("password.change")}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
