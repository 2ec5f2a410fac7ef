import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Problem } from "./Problem";

interface Props {
  title: string;
  /** What will be lost. */
  text: ReactNode;
  /** The button that does it. */
  action: string;
  /** What could not be done, when it could not. */
  failed: string;
  /** Words for a code that means something of its own here. */
  words?: Partial<Record<string, string>>;
  run: () => Promise<unknown>;
  onClose: () => void;
}

/** Asks before what cannot be undone, and says what will be lost. */
export function AskFirst({ title, text, action, failed, words, run, onClose }: Props) {
  const { t } = useTranslation("account");
  const act = useMutation({ meta: { inline: true }, mutationFn: run, onSuccess: onClose });
  return (
    <Modal opened onClose={onClose} title={title} closeButtonProps={{ "aria-label": t("close") }}>
      <Stack gap="md">
        <Text>{text}</Text>
        <Problem error={act.error} title={failed} words={words} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {t("cancel")}
          </Button>
          <Button loading={act.isPending} onClick={() => act.mutate()} data-autofocus>
            {action}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
