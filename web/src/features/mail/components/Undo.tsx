import { Button, Group, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";

/** Inside a toast: what it was, and the way back. */
export function Undo({ subject, onUndo }: { subject: string; onUndo: () => void }) {
  const { t } = useTranslation("mail");
  return (
    <Group justify="space-between" wrap="nowrap" gap="sm">
      <Text size="sm" truncate>
        {subject}
      </Text>
      <Button size="xs" variant="default" flex="none" onClick={onUndo}>
        {t("undo.action")}
      </Button>
    </Group>
  );
}
