import { Button, Group, PasswordInput, Stack, Text, Title } from "@mantine/core";
import { IconLock } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { declineProof, openPage } from "../../../api/lock";
import { sessionQuery, useSession } from "../../../api/session";
import { sessionEnded } from "../../../api/session-state";
import { useSignOut } from "../../../api/sign-out";
import { useTitleStore } from "../../../lib/title";
import { passkeysSupported, provePasskey } from "../../../lib/webauthn";
import { PersonLine } from "../../../ui/PersonLine";
import { unlock, unlockOptions } from "../api";
import classes from "./LockDialog.module.css";
import { Problem } from "./Problem";

interface Props {
  /** locked: nothing may be seen or done before; confirm: one act wants it, and one may leave it. */
  kind: "locked" | "confirm";
}

/**
 * Over every page: one's password or passkey once more. The browser's own modal
 * dialog makes all else inert, for eyes behind its backdrop and for who listens,
 * whatever lies in which portal.
 */
export function LockDialog({ kind }: Props) {
  const { t } = useTranslation("account");
  const { person } = useSession();
  const client = useQueryClient();
  const [password, setPassword] = useState("");
  const [missing, setMissing] = useState(false);
  const dialog = useRef<HTMLDialogElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const leave = useSignOut();
  const locked = kind === "locked";

  useEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    if (element && !element.open) element.showModal();
    field.current?.focus();
    return () => {
      element?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);

  // The browser closes a dialog at the second Escape whoever objects, and what lies
  // behind would be seen until it opens again. So it hears of none.
  useEffect(() => {
    if (!locked) return;
    const swallow = (e: KeyboardEvent) => {
      if (e.key === "Escape") e.preventDefault();
    };
    window.addEventListener("keydown", swallow, true);
    return () => window.removeEventListener("keydown", swallow, true);
  }, [locked]);

  // The tab's name may say whose conversation lies behind.
  const title = t(`lock.${kind}.title`);
  useEffect(() => {
    if (!locked) return;
    const { page } = useTitleStore.getState();
    useTitleStore.setState({ page: title });
    return () => useTitleStore.setState((now) => (now.page === title ? { page } : {}));
  }, [locked, title]);

  const open = useMutation({
    meta: { inline: true },
    mutationFn: async (passkey: boolean) => {
      if (!passkey) return unlock({ password });
      return unlock({ passkey: await provePasskey(await unlockOptions()) });
    },
    onSuccess: async () => {
      await client.fetchQuery({ ...sessionQuery, staleTime: 0 }).catch(() => {});
      openPage();
    },
    onError: async (err) => {
      field.current?.select();
      // A wrong password, or no session any more? Only the session itself can tell.
      if (codeOf(err) === "unauthenticated" && (await client.fetchQuery({ ...sessionQuery, staleTime: 0 }).catch(() => true)) === null) sessionEnded();
    },
  });
  const cancel = () => {
    if (!locked && !open.isPending) declineProof();
  };

  return (
    <dialog
      ref={dialog}
      className={locked ? classes.locked : classes.confirm}
      aria-labelledby="lock-title"
      aria-describedby="lock-text"
      onCancel={(e) => {
        e.preventDefault();
        cancel();
      }}
      onClose={() => dialog.current?.isConnected && dialog.current.showModal()} // phones have other ways to close one
    >
      <form
        noValidate
        onSubmit={(e) => {
          e.preventDefault();
          setMissing(!password);
          if (!password) field.current?.focus();
          else if (!open.isPending) open.mutate(false);
        }}
      >
        <Stack gap="sm">
          <Group gap="xs" wrap="nowrap">
            {locked && <IconLock size={22} stroke={1.5} aria-hidden />}
            <Title order={2} id="lock-title" size="h1">
              {title}
            </Title>
          </Group>
          <Text id="lock-text" c="dimmed">
            {t(`lock.${kind}.text`)}
          </Text>
          {locked && <PersonLine person={person} />}
          <Problem error={open.error} title={t("lock.failed")} words={{ unauthenticated: open.variables ? t("lock.passkey_unknown") : t("lock.wrong") }} />
          <input type="hidden" autoComplete="username" value={person.address} readOnly />
          <PasswordInput
            ref={field}
            label={t("password.current")}
            autoComplete="current-password"
            value={password}
            error={missing && !password ? t("password.missing") : undefined}
            visibilityToggleButtonProps={{ "aria-label": t("password.show"), tabIndex: 0, "aria-hidden": false }}
            onChange={(e) => setPassword(e.currentTarget.value)}
          />
          <Button type="submit" fullWidth loading={open.isPending && !open.variables}>
            {t(`lock.${kind}.submit`)}
          </Button>
          {passkeysSupported() && (
            <Button variant="default" fullWidth loading={open.isPending && open.variables} onClick={() => open.mutate(true)}>
              {t("lock.passkey")}
            </Button>
          )}
          {locked ? (
            <Button variant="subtle" color="gray" loading={leave.isPending} onClick={() => leave.mutate()}>
              {t("lock.sign_out")}
            </Button>
          ) : (
            <Button variant="subtle" color="gray" onClick={cancel}>
              {t("cancel")}
            </Button>
          )}
        </Stack>
      </form>
    </dialog>
  );
}
