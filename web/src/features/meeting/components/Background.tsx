import { ActionIcon, Anchor, Tooltip } from "@mantine/core";
import { IconMicrophone, IconMicrophoneOff, IconPhoneOff } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useRouterState } from "@tanstack/react-router";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { stayAwake } from "../../../api/activity";
import { onOnline } from "../../../api/connection";
import { onPushed } from "../../../api/push";
import { hrefOf, paths } from "../../../lib/paths";
import { activeCall, forgetCall } from "../active";
import { meetingsQuery } from "../api";
import { type Call, isOver } from "../call";
import { useStore } from "../use";
import classes from "./Background.module.css";
import { Tile } from "./Tile";

/** What meetings do on every page: keep the list fresh, and show a running call in a small window. */
export default function Background() {
  const client = useQueryClient();
  useEffect(() => {
    const refresh = () => void client.invalidateQueries({ queryKey: meetingsQuery.queryKey });
    const stops = [onPushed(({ kind, live }) => live && kind.startsWith("meeting.") && refresh()), onOnline(refresh)];
    return () => stops.forEach((stop) => stop());
  }, [client]);
  // Signing out takes this away, and the call with it.
  useEffect(
    () => () => {
      void activeCall.get().call?.leave();
      forgetCall();
    },
    [],
  );
  const { call, id } = useStore(activeCall);
  const here = useRouterState({ select: (s) => s.location.pathname });
  if (!call) return null;
  return (
    <>
      <Awake call={call} />
      {here !== hrefOf(paths.meeting(id)) && <SmallWindow call={call} />}
    </>
  );
}

/** Who listens in a meeting touches nothing, and is not to be locked out of it; once it is over, they are like anybody. */
function Awake({ call }: { call: Call }) {
  const { phase } = useStore(call.store);
  const on = !isOver(phase);
  useEffect(() => (on ? stayAwake() : undefined), [on]);
  return null;
}

function SmallWindow({ call }: { call: Call }) {
  const { t } = useTranslation("meeting");
  const { id, title } = useStore(activeCall);
  const { phase, members } = useStore(call.store);
  const { mic } = useStore(call.media.store);
  const done = isOver(phase);
  useEffect(() => {
    if (done) forgetCall();
  }, [done]);
  if (done) return null;
  const shown = members.find((m) => m.screen && !m.self) ?? members.find((m) => m.speaking && !m.self) ?? members.find((m) => !m.self) ?? members[0];
  return (
    <section className={classes.float} aria-label={t("call.region")}>
      {shown && (
        <ul className={classes.picture} aria-label={t("call.people")}>
          <Tile member={shown} media={call.media} screen={!!shown.screen && !shown.self} small />
        </ul>
      )}
      <div className={classes.bar}>
        <Anchor className={classes.title} renderRoot={(props) => <Link {...paths.meeting(id)} {...props} />} title={title}>
          {phase === "connected" ? t("call.back") : t("state.reconnecting")}
        </Anchor>
        <Tooltip label={mic.on ? t("device.micOff") : t("device.micOn")}>
          <ActionIcon
            variant="default"
            size="lg"
            aria-label={mic.on ? t("device.micOff") : t("device.micOn")}
            onClick={() => void call.media.setOn("mic", !mic.on)}
          >
            {mic.on ? <IconMicrophone size={18} stroke={1.5} aria-hidden /> : <IconMicrophoneOff size={18} stroke={1.5} aria-hidden />}
          </ActionIcon>
        </Tooltip>
        <Tooltip label={t("call.leave")}>
          <ActionIcon color="lacquer" size="lg" aria-label={t("call.leave")} onClick={() => void call.leave()}>
            <IconPhoneOff size={18} stroke={1.5} aria-hidden />
          </ActionIcon>
        </Tooltip>
      </div>
    </section>
  );
}
