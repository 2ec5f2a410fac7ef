import { ActionIcon, Button, Group, Loader, Text, Title, Tooltip } from "@mantine/core";
import { IconArrowLeft, IconMicrophone, IconMicrophoneOff, IconVideo, IconVideoOff } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSession } from "../../../api/session";
import { paths } from "../../../lib/paths";
import { PersonMark } from "../../../ui/PersonLine";
import { activeCall } from "../active";
import { admit, type MeetingDetail } from "../api";
import { Call } from "../call";
import { LocalMedia } from "../local-media";
import { useKeys, useStore } from "../use";
import { CopyLink } from "./CopyLink";
import { DeviceNewsLine } from "./DeviceNewsLine";
import { DeviceProblems } from "./DeviceProblems";
import { DeviceSelects } from "./DeviceSelects";
import { Level } from "./Level";
import classes from "./MeetingPage.module.css";
import { Picture } from "./Picture";

/** Before the call: look at oneself, choose devices, see who is inside. */
export function Door({ meeting }: { meeting: MeetingDetail }) {
  const [media] = useState(() => new LocalMedia());
  const taken = useRef(false); // by the call, which closes it
  useEffect(() => {
    void media.start();
    return () => {
      if (!taken.current) media.close();
    };
  }, [media]);
  const enter = () => {
    if (taken.current) return;
    taken.current = true;
    void activeCall.get().call?.leave(); // one call a tab
    const call = new Call({ media, admit: () => admit(meeting.id) });
    activeCall.set({ call, id: meeting.id, title: meeting.title, link: meeting.link, maker: meeting.relation === "maker" });
    void call.join();
  };
  return <Prepared meeting={meeting} media={media} onEnter={enter} />;
}

function Prepared({ meeting, media, onEnter }: { meeting: MeetingDetail; media: LocalMedia; onEnter: () => void }) {
  const { t } = useTranslation("meeting");
  const session = useSession();
  const { mic, camera } = useStore(media.store);
  const join = useRef<HTMLButtonElement>(null);
  useEffect(() => join.current?.focus({ preventScroll: true }), []);
  const keys = useMemo(
    () => ({
      m: () => void media.setOn("mic", !media.store.get().mic.wanted || !!media.store.get().mic.problem),
      v: () => void media.setOn("camera", !media.store.get().camera.wanted || !!media.store.get().camera.problem),
    }),
    [media],
  );
  useKeys(keys);
  const names = meeting.inside.map((p) => p.name);
  const pending = mic.pending || camera.pending;
  return (
    <main id="main" className={classes.door}>
      <header className={classes.doorHead}>
        <Tooltip label={t("door.back")}>
          <ActionIcon renderRoot={(props) => <Link {...paths.meetings()} {...props} />} variant="subtle" color="gray" size="lg" aria-label={t("door.back")}>
            <IconArrowLeft size={20} stroke={1.5} aria-hidden />
          </ActionIcon>
        </Tooltip>
        <Text c="dimmed">{t("door.heading")}</Text>
      </header>
      <div className={classes.doorBody}>
        <section className={classes.mirror} aria-label={t("door.preview")}>
          {camera.on ? (
            <Picture track={media.track("camera")} mirrored label={t("door.preview")} />
          ) : (
            <div className={classes.mirrorOff}>
              {camera.pending ? <Loader size="sm" role="status" aria-label={t("device.starting")} /> : <PersonMark name={session.person.name} size={72} />}
              {!camera.pending && <Text size="sm">{t("device.isOff")}</Text>}
            </div>
          )}
          <div className={classes.mirrorBar}>
            <Toggle
              on={mic.on}
              pending={mic.pending}
              label={mic.on ? t("device.micOff") : t("device.micOn")}
              shortcut="M"
              icon={mic.on ? <IconMicrophone size={22} stroke={1.5} aria-hidden /> : <IconMicrophoneOff size={22} stroke={1.5} aria-hidden />}
              onClick={keys.m}
            />
            <Toggle
              on={camera.on}
              pending={camera.pending}
              label={camera.on ? t("device.cameraOff") : t("device.cameraOn")}
              shortcut="V"
              icon={camera.on ? <IconVideo size={22} stroke={1.5} aria-hidden /> : <IconVideoOff size={22} stroke={1.5} aria-hidden />}
              onClick={keys.v}
            />
          </div>
        </section>
        <section className={classes.doorSide}>
          <Title order={1}>{meeting.title}</Title>
          <Text c="dimmed" mt={4}>
            {t("door.by", { name: [meeting.created_by.name, meeting.created_by.agency_short || meeting.created_by.agency_name].filter(Boolean).join(" · ") })}
          </Text>
          <Text mt="sm" aria-live="polite">
            {names.length === 0
              ? t("door.nobody")
              : names.length <= 3
                ? t("door.inside", { names: names.join(", ") })
                : t("door.insideMore", { names: names.slice(0, 2).join(", "), count: names.length - 2 })}
          </Text>
          <Group mt="md" gap="xs">
            <Button ref={join} size="md" onClick={onEnter}>
              {t("door.join")}
            </Button>
            <CopyLink link={meeting.link} label={t("call.copy")} />
          </Group>
          <Text size="sm" c="dimmed" mt="xs">
            {t("door.asYou", { name: session.person.name })}
          </Text>
          <div className={classes.doorDevices}>
            <div role="status" className={classes.doorNews}>
              <DeviceNewsLine media={media} />
            </div>
            <DeviceProblems media={media} />
            {!pending && (mic.problem || camera.problem) && (
              <Text size="sm" mb="sm">
                {t("door.still")}
              </Text>
            )}
            <DeviceSelects media={media} />
            <Level media={media} />
          </div>
        </section>
      </div>
    </main>
  );
}

interface ToggleProps {
  on: boolean;
  pending: boolean;
  label: string;
  shortcut: string;
  icon: React.ReactNode;
  onClick: () => void;
}

/** A switch over a picture; its words say what it will do. */
function Toggle({ on, pending, label, shortcut, icon, onClick }: ToggleProps) {
  return (
    <Tooltip label={`${label} (${shortcut})`}>
      <ActionIcon
        className={classes.toggle}
        data-off={(!on && !pending) || undefined}
        variant="default"
        size={48}
        radius="xl"
        aria-label={label}
        aria-keyshortcuts={shortcut}
        onClick={onClick}
      >
        {icon}
      </ActionIcon>
    </Tooltip>
  );
}
