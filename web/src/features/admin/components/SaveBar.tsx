import { Button, Group, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";

interface Props {
  changed: boolean;
  busy: boolean;
  onReset: () => void;
  /** Closes a form that is open for a moment only, while nothing is changed in it. */
  onLeave?: () => void;
}

/** Save and take back, beside what is not saved yet. */
export function SaveBar({ changed, busy, onReset, onLeave }: Props) {
  const { t } = useTranslation("admin");
  return (
    <Group gap="xs">
      <Button type="submit" loading={busy} disabled={!changed}>
        {t("save")}
      </Button>
      {!changed && onLeave && (
        <Button variant="default" onClick={onLeave}>
          {t("cancel")}
        </Button>
      )}
      {changed && (
        <>
          <Button variant="subtle" color="gray" onClick={onReset}>
            {t("reset")}
          </Button>
          <Text size="sm" c="dimmed" role="status">
            {t("unsaved")}
          </Text>
        </>
      )}
    </Group>
  );
}
