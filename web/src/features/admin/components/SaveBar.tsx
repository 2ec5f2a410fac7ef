import { Button, Group, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";

/** Save and take back, beside what is not saved yet. */
export function SaveBar({ changed, busy, onReset }: { changed: boolean; busy: boolean; onReset: () => void }) {
  const { t } = useTranslation("admin");
  return (
    <Group gap="xs">
      <Button type="submit" loading={busy} disabled={!changed}>
        {t("save")}
      </Button>
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
