import { Button, Loader } from "@mantine/core";
import { IconAlertTriangle, IconDeviceDesktopOff, IconVolumeOff } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import type { Call } from "../call";
import { inputs } from "../local-media";
import { useStore } from "../use";
import classes from "./CallRoom.module.css";
import { DeviceNewsLine } from "./DeviceNewsLine";
import { Line } from "./Line";

const icon = { size: 18, stroke: 1.5, "aria-hidden": true } as const;

/** What one must know during a call: the connection, blocked sound, devices. */
export function Notices({ call }: { call: Call }) {
  const { t } = useTranslation("meeting");
  const { phase, attempt, obstacle, soundBlocked, shareProblem, unsent } = useStore(call.store);
  const media = call.media;
  const devices = useStore(media.store);
  const connection =
    phase === "reconnecting"
      ? t("state.reconnecting")
      : obstacle && (phase === "rejoining" || phase === "joining")
        ? t(`state.${obstacle}`, { attempt })
        : phase === "rejoining"
          ? t("state.rejoining", { attempt })
          : phase === "joining" && attempt > 1
            ? t("state.joiningAgain", { attempt })
            : "";
  // i18n: state.network, state.full
  // i18n: problem.mic.*, problem.camera.*, problem.share.*, call.unsent.mic, call.unsent.camera
  return (
    <>
      <div role="status" className={classes.notices}>
        {connection && (
          <Line icon={<Loader size={16} aria-hidden />}>
            {connection}
            {phase !== "reconnecting" && (
              <Button size="compact-sm" variant="default" onClick={() => call.retryNow()} ml="sm">
                {t("state.retry")}
              </Button>
            )}
          </Line>
        )}
        <DeviceNewsLine media={media} />
      </div>
      <div role="alert" className={classes.notices}>
        {soundBlocked && (
          <Line icon={<IconVolumeOff {...icon} />}>
            {t("state.sound")}
            <Button size="compact-sm" ml="sm" onClick={() => void call.allowSound()}>
              {t("state.allowSound")}
            </Button>
          </Line>
        )}
        {inputs.map(
          (input) =>
            devices[input].problem &&
            !devices[input].pending && (
              <Line
                key={input}
                icon={<IconAlertTriangle {...icon} color="var(--commsd-warn)" />}
                close={t("call.close")}
                onClose={() => void media.setOn(input, false)}
              >
                {t(`problem.${input}.${devices[input].problem}`)}
              </Line>
            ),
        )}
        {unsent && <Line icon={<IconAlertTriangle {...icon} color="var(--commsd-warn)" />}>{t(`call.unsent.${unsent}`)}</Line>}
        {shareProblem && (
          <Line icon={<IconDeviceDesktopOff {...icon} />} close={t("call.close")} onClose={() => call.clearShareProblem()}>
            {t(`problem.share.${shareProblem}`)}
          </Line>
        )}
      </div>
    </>
  );
}
