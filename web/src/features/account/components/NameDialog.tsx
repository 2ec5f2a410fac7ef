import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Problem } from "./Problem";

interface Props {
  title: string;
  lead?: string;
  label: string;
  placeholder?: string;
  initial?: string;
  action: string;
  failed: string;
  words?: Partial<Record<string, string>>;
  save: (name: string) => Promise<unknown>;
  onClose: () => void;
}

/** Asks what something is to be called, and does what it is called for. */
export function NameDialog({ title, lead, label, placeholder, initial = "", action, failed, words, save, onClose }: Props) {
  const { t } = useTranslation("account");
  const [name, setName] = useState(initial);
  const [missing, setMissing] = useState(false);
  const act = useMutation({ meta: { inline: true }, mutationFn: () => save(name.trim()), onSuccess: onClose });
  return (
    <Modal opened onClose={onClose} title={title} closeButtonProps={{ "aria-label": t("close") }}>
      <form
        noValidate
        onSubmit={(e) => {
          e.preventDefault();
          setMissing(!name.trim());
          if (name.trim() && !act.isPending) act.mutate();
        }}
      >
        <Stack gap="md">
          {lead && <Text>{lead}</Text>}
          <Problem error={act.error} title={failed} words={words} />
          <TextInput
            label={label}
            placeholder={placeholder}
            value={name}
            maxLength={60}
            data-autofocus
            error={missing && !name.trim() ? t("name_missing") : undefined}
            onChange={(e) => setName(e.currentTarget.value)}
          />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {t("cancel")}
            </Button>
            <Button type="submit" loading={act.isPending}>
              {action}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
