import { Anchor, Button, Group, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { hrefOf, type Place } from "../../../lib/paths";

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

/** Inside a toast, which stands outside of the router: a link whose following is the page's affair. */
export function Look({ place, label, onFollow }: { place: Place; label: string; onFollow: () => void }) {
  return (
    <Anchor
      size="sm" href={hrefOf(place)}
      onClick={(e) => {
        if (e.ctrlKey || e.metaKey || e.shiftKey) return; // another window
        e.preventDefault();
        onFollow();
      }}
    >
      {label}
    </Anchor>
  );
}
