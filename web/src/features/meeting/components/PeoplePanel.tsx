import { Button, CloseButton, Group, Title } from "@mantine/core";
import { IconMicrophone, IconMicrophoneOff, IconUserPlus, IconVideo, IconVideoOff } from "@tabler/icons-react";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { comparePeople } from "../../../lib/names";
import { PersonLine } from "../../../ui/PersonLine";
import type { Member } from "../call";
import type { LocalMedia } from "../local-media";
import { useStore } from "../use";
import classes from "./CallRoom.module.css";

const icon = { size: 18, stroke: 1.5, role: "img" } as const;

/** Everyone in the room by name, oneself first. */
export function PeoplePanel({ members, media, onClose, onInvite }: { members: Member[]; media: LocalMedia; onClose: () => void; onInvite: () => void }) {
  const { t } = useTranslation("meeting");
  const own = useStore(media.store);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const sorted = [...members].sort((a, b) => Number(b.self) - Number(a.self) || comparePeople(a, b));
  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- Escape closes what P opened
    <aside className={classes.side} aria-label={t("call.people")} onKeyDown={(e) => e.key === "Escape" && onClose()}>
      <Group justify="space-between" mb="sm">
        <Title order={2} ref={heading} tabIndex={-1}>
          {t("call.peopleCount", { count: members.length })}
        </Title>
        <CloseButton aria-label={t("call.close")} onClick={onClose} />
      </Group>
      <Button fullWidth variant="default" mb="sm" leftSection={<IconUserPlus size={18} stroke={1.5} aria-hidden />} onClick={onInvite}>
        {t("call.invite")}
      </Button>
      <ul className={classes.people}>
        {sorted.map((m) => {
          const mic = m.self ? own.mic.on : m.mic;
          const camera = m.self ? own.camera.on : m.camera !== null;
          return (
            <li key={m.identity}>
              <PersonLine
                person={{
                  id: m.person,
                  name: m.self ? t("call.self", { name: m.name }) : m.name,
                  given_name: "",
                  title: m.title,
                  agency_name: m.agency,
                  agency_short: m.agencyShort,
                }}
                right={
                  <Group gap={6} wrap="nowrap" c="dimmed">
                    {mic ? <IconMicrophone {...icon} aria-label={t("call.micOnOf")} /> : <IconMicrophoneOff {...icon} aria-label={t("call.micOffOf")} />}
                    {camera ? <IconVideo {...icon} aria-label={t("call.cameraOnOf")} /> : <IconVideoOff {...icon} aria-label={t("call.cameraOffOf")} />}
                  </Group>
                }
              />
            </li>
          );
        })}
      </ul>
    </aside>
  );
}
