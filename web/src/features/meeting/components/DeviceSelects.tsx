import { NativeSelect, Stack } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Device, LocalMedia } from "../local-media";
import { useStore } from "../use";

/** The choice of microphone, camera and, where the browser allows it, speaker. */
export function DeviceSelects({ media }: { media: LocalMedia }) {
  const { t } = useTranslation("meeting");
  const { mic, camera, mics, cameras, speakers, speaker } = useStore(media.store);
  const canChooseSpeaker = "setSinkId" in HTMLMediaElement.prototype && speakers.length > 0;
  const options = (kind: string, devices: Device[]) =>
    devices.map((d, i) => ({ value: d.id, label: d.label || t("device.unnamed", { kind, number: i + 1 }) }));
  const none = (pending: boolean) => [{ value: "", label: pending ? t("device.starting") : t("device.none") }];
  return (
    <Stack gap="sm">
      <NativeSelect
        label={t("device.mic")}
        value={mic.device}
        disabled={mics.length === 0}
        data={mics.length ? options(t("device.mic"), mics) : none(mic.pending)}
        onChange={(e) => void media.choose("mic", e.currentTarget.value)}
      />
      <NativeSelect
        label={t("device.camera")}
        value={camera.device}
        disabled={cameras.length === 0}
        data={cameras.length ? options(t("device.camera"), cameras) : none(camera.pending)}
        onChange={(e) => void media.choose("camera", e.currentTarget.value)}
      />
      {canChooseSpeaker && (
        <NativeSelect
          label={t("device.speaker")}
          value={speaker}
          data={[{ value: "", label: t("device.default") }, ...options(t("device.speaker"), speakers.filter((s) => s.id !== "default"))]}
          onChange={(e) => media.chooseSpeaker(e.currentTarget.value)}
        />
      )}
    </Stack>
  );
}
