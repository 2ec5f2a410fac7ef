import { Alert, Button, Stack } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { type Input, inputs, type LocalMedia } from "../local-media";
import { useStore } from "../use";

/** What is wrong with the camera or the microphone, each in its own words, and a way to try again. */
export function DeviceProblems({ media }: { media: LocalMedia }) {
  const { t } = useTranslation("meeting");
  const state = useStore(media.store);
  const shown = inputs.filter((i) => state[i].problem && !state[i].pending);
  if (shown.length === 0) return null;
  const again = (input: Input) => (input === "mic" ? t("device.micOn") : t("device.cameraOn"));
  // i18n: problem.mic.*, problem.camera.*
  return (
    <Stack gap="xs" mb="sm">
      {shown.map((input) => (
        <Alert key={input} role="alert" variant="default" p="sm" icon={<IconAlertTriangle size={18} stroke={1.5} color="var(--commsd-warn)" aria-hidden />}>
          {t(`problem.${input}.${state[input].problem ?? "failed"}`)}
          {state[input].problem !== "insecure" && (
            <div>
              <Button mt={6} size="compact-sm" variant="default" onClick={() => void media.setOn(input, true)}>
                {again(input)}
              </Button>
            </div>
          )}
        </Alert>
      ))}
    </Stack>
  );
}
