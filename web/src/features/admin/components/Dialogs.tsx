import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import type { QueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { ApiError, codeOf } from "../../../api/error";
import { i18n, useLang } from "../../../lib/i18n";
import { ErrorState } from "../../../ui/States";
import { toast } from "../../../ui/toast";
import classes from "./Admin.module.css";

/** Why something was not done, in our words, with what the server names. Nothing, while nothing is wrong. */
export function Problem({ error, title, onRetry }: { error: unknown; title: string; onRetry?: () => void }) {
  const { t } = useTranslation("admin");
  const lang = useLang();
  if (!error) return null;
  const code = codeOf(error);
  if (code !== "invalid" && code !== "conflict" && code !== "forbidden") return <ErrorState compact code={code} title={title} onRetry={onRetry} />;
  // i18n: reason.*
  const reason = error instanceof ApiError && i18n.exists(`admin:reason.${error.reason}`) ? error.reason : "";
  const said = error instanceof ApiError ? [error.detail, ...error.fields.map((f) => [f.location, f.message].filter(Boolean).join(": "))].filter(Boolean).join(" · ") : "";
  // The server speaks English: whoever reads that has it at once, others find it when they look for it.
  const details = code !== "forbidden" && said && (
    <Text size="sm" c="dimmed" mt={4} lang="en">
      {said}
    </Text>
  );
  return (
    <ErrorState
      compact code={code} title={title}
      text={
        <>
          {reason ? t(`reason.${reason}`) : t(`problem.${code}`)}
          {details && (lang === "en" ? details : <Details>{details}</Details>)}
        </>
      }
    />
  );
}

function Details({ children }: { children: ReactNode }) {
  const { t } = useTranslation("admin");
  return (
    <details className={classes.details}>
      <summary>{t("problem.details")}</summary>
      {children}
    </details>
  );
}

interface FormProps {
  title: string;
  /** What the button does, "Thêm đơn vị". */
  submit: string;
  /** What to say when it fails. */
  failed: string;
  error: unknown;
  busy: boolean;
  /** Something that must be there is not: the button waits. */
  incomplete?: boolean;
  onSubmit: () => void;
  onClose: () => void;
  children: ReactNode;
  size?: string;
}

/** A window with a form. What was typed is its user's to keep. */
export function FormDialog({ title, submit, failed, error, busy, incomplete, onSubmit, onClose, children, size = "md" }: FormProps) {
  const { t } = useTranslation("admin");
  return (
    <Modal opened onClose={onClose} title={title} size={size} closeButtonProps={{ "aria-label": t("close") }}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          if (!busy && !incomplete) onSubmit();
        }}
      >
        <Stack gap="md">
          <Problem error={error} title={failed} />
          {children}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {t("cancel")}
            </Button>
            <Button type="submit" loading={busy} disabled={incomplete}>
              {submit}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

interface ConfirmProps extends Omit<FormProps, "incomplete" | "size"> {
  incomplete?: boolean;
}

/** Asks before what cannot be undone, and says what is lost. */
export function Confirm({ children, ...rest }: ConfirmProps) {
  return (
    <FormDialog {...rest}>
      {typeof children === "string" ? <Text>{children}</Text> : children}
    </FormDialog>
  );
}

/** Says what has been done, and takes it back for who asks within some seconds. */
export function offerUndo(client: QueryClient, message: string, undo: () => Promise<unknown>): void {
  const id = `undo-${message}`;
  const back = async () => {
    toast.hide(id);
    try {
      await undo();
      toast.show({ message: i18n.t("admin:undo.done") });
    } catch {
      toast.show({ color: "red", message: i18n.t("admin:undo.failed") });
    }
    await Promise.all([client.invalidateQueries({ queryKey: ["admin"] }), client.invalidateQueries({ queryKey: ["directory"] })]);
  };
  toast.show({
    id, autoClose: 10_000,
    message: (
      <Group justify="space-between" wrap="nowrap" gap="sm">
        <Text size="sm">{message}</Text>
        <Button size="xs" variant="default" flex="none" onClick={() => void back()}>
          {i18n.t("admin:undo.action")}
        </Button>
      </Group>
    ),
  });
}
