import { Button, Loader, Text, Title } from "@mantine/core";
import { useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Call } from "../call";
import { useKeys, useStore } from "../use";
import classes from "./CallRoom.module.css";
import { Controls } from "./Controls";
import { Duration } from "./Duration";
import { InviteDialog } from "./InviteDialog";
import { Notices } from "./Notices";
import { PeoplePanel } from "./PeoplePanel";
import { Stage } from "./Stage";

interface Props {
  call: Call;
  id: string;
  title: string;
  link: string;
  /** One may end the meeting for everyone. */
  maker: boolean;
}

/** The call: who is there, and what one can do. */
export function CallRoom({ call, id, title, link, maker }: Props) {
  const { t } = useTranslation("meeting");
  const state = useStore(call.store);
  const [side, setSide] = useState(false);
  const [inviting, setInviting] = useState(false);
  const { media } = call;
  const keys = useMemo(
    () => ({
      m: () => void media.setOn("mic", !media.store.get().mic.on),
      v: () => void media.setOn("camera", !media.store.get().camera.on),
      s: () => void call.share(),
      p: () => setSide((open) => !open),
      i: () => setInviting(true),
    }),
    [call, media],
  );
  useKeys(keys);
  // The picture of whoever speaks should not fall asleep with the screen.
  useEffect(() => {
    let lock: WakeLockSentinel | null = null;
    let gone = false;
    navigator.wakeLock?.request("screen").then(
      (l) => {
        if (gone) void l.release();
        else lock = l;
      },
      () => undefined, // a wish, no more
    );
    return () => {
      gone = true;
      void lock?.release();
    };
  }, []);

  const others = state.members.filter((m) => !m.self).length;
  return (
    <main id="main" className={classes.room} aria-label={t("call.region")}>
      <header className={classes.head}>
        <Title order={1} size="h2" className={classes.headTitle}>
          {title}
        </Title>
        {state.since > 0 && <Duration since={state.since} />}
      </header>
      <div className={classes.stage}>
        <Notices call={call} />
        {state.members.length === 0 ? (
          <div className={classes.waiting}>
            <Loader aria-hidden />
            <Text c="dimmed">{state.phase === "joining" ? t("state.joining") : t("state.reconnecting")}</Text>
          </div>
        ) : (
          <Stage members={state.members} media={media} label={t("call.people")} />
        )}
        {state.phase === "connected" && others === 0 && state.members.length > 0 && (
          <div className={classes.alone}>
            <Text fw={500}>{t("call.alone")}</Text>
            <Text c="dimmed" size="sm">
              {t("call.aloneText")}
            </Text>
            <Button mt="xs" size="xs" variant="default" onClick={() => setInviting(true)}>
              {t("call.invite")}
            </Button>
          </div>
        )}
      </div>
      {side && <PeoplePanel members={state.members} media={media} onClose={() => setSide(false)} onInvite={() => setInviting(true)} />}
      <Controls
        call={call}
        id={id}
        link={link}
        maker={maker}
        peopleShown={side}
        onPeople={keys.p}
        onInvite={keys.i}
        count={state.members.length}
      />
      {inviting && <InviteDialog id={id} link={link} onClose={() => setInviting(false)} />}
    </main>
  );
}
