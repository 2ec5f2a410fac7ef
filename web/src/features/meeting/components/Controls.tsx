import { ActionIcon, Button, Menu, Modal, Group, Popover, Text, Tooltip } from "@mantine/core";
import {
  IconDots, IconDoorExit, IconLayoutBottombarCollapse, IconMicrophone, IconMicrophoneOff, IconPhoneOff, IconScreenShare,
  IconScreenShareOff, IconLink, IconSettings, IconUserPlus, IconUsers, IconVideo, IconVideoOff,
} from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { paths } from "../../../lib/paths";
import { useEndMeeting } from "../api";
import type { Call } from "../call";
import { useStore } from "../use";
import { DeviceSelects } from "./DeviceSelects";
import { useCopyLink } from "./CopyLink";
import classes from "./CallRoom.module.css";
import doorClasses from "./MeetingPage.module.css";

interface Props {
  call: Call;
  id: string;
  link: string;
  maker: boolean;
  count: number;
  peopleShown: boolean;
  onPeople: () => void;
  onInvite: () => void;
}

const icon = { size: 22, stroke: 1.5, "aria-hidden": true } as const;
const menuIcon = { size: 18, stroke: 1.5, "aria-hidden": true } as const;
const canShare = typeof navigator.mediaDevices?.getDisplayMedia === "function";

/** The bar under the call. Every button has a name, a tooltip and, where it is used often, a key. */
export function Controls({ call, id, link, maker, count, peopleShown, onPeople, onInvite }: Props) {
  const { t } = useTranslation("meeting");
  const navigate = useNavigate();
  const { mic, camera } = useStore(call.media.store);
  const { sharing } = useStore(call.store);
  const { copy } = useCopyLink(link);
  const end = useEndMeeting(id);
  const [devices, setDevices] = useState(false);
  const [menu, setMenu] = useState(false);
  const [asking, setAsking] = useState(false);
  const { media } = call;
  return (
    <div className={classes.bar} role="toolbar" aria-label={t("call.controls")}>
      <Control
        label={mic.on ? t("device.micOff") : t("device.micOn")}
        shortcut="M"
        off={!mic.on && !mic.pending}
        loading={mic.pending}
        onClick={() => void media.setOn("mic", !mic.on)}
      >
        {mic.on ? <IconMicrophone {...icon} /> : <IconMicrophoneOff {...icon} />}
      </Control>
      <Control
        label={camera.on ? t("device.cameraOff") : t("device.cameraOn")}
        shortcut="V"
        off={!camera.on && !camera.pending}
        loading={camera.pending}
        onClick={() => void media.setOn("camera", !camera.on)}
      >
        {camera.on ? <IconVideo {...icon} /> : <IconVideoOff {...icon} />}
      </Control>
      <Popover opened={devices} onChange={setDevices} position="top" width={320} trapFocus returnFocus>
        <Popover.Target>
          <Control label={t("device.choose")} onClick={() => setDevices((open) => !open)} opened={devices}>
            <IconSettings {...icon} />
          </Control>
        </Popover.Target>
        <Popover.Dropdown aria-label={t("device.choose")}>
          <DeviceSelects media={media} />
        </Popover.Dropdown>
      </Popover>
      {canShare && (
        <Control label={sharing ? t("call.unshare") : t("call.share")} shortcut="S" on={sharing} onClick={() => void call.share()}>
          {sharing ? <IconScreenShareOff {...icon} /> : <IconScreenShare {...icon} />}
        </Control>
      )}
      <Control label={t("call.peopleCount", { count })} shortcut="P" on={peopleShown} expanded={peopleShown} onClick={onPeople}>
        <IconUsers {...icon} />
      </Control>
      <Menu opened={menu} onChange={setMenu} position="top" width={240} returnFocus>
        <Menu.Target>
          <Control label={t("call.more")} opened={menu}>
            <IconDots {...icon} />
          </Control>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<IconUserPlus {...menuIcon} />} rightSection={<Key>I</Key>} onClick={onInvite}>
            {t("call.invite")}
          </Menu.Item>
          <Menu.Item leftSection={<IconLink {...menuIcon} />} onClick={copy}>
            {t("call.copy")}
          </Menu.Item>
          <Menu.Item leftSection={<IconLayoutBottombarCollapse {...menuIcon} />} onClick={() => void navigate(paths.today())}>
            {t("call.small")}
          </Menu.Item>
          {maker && (
            <>
              <Menu.Divider />
              <Menu.Item className={classes.end} leftSection={<IconDoorExit {...menuIcon} />} onClick={() => setAsking(true)}>
                {t("call.end")}
              </Menu.Item>
            </>
          )}
        </Menu.Dropdown>
      </Menu>
      <Tooltip label={t("call.leave")}>
        <ActionIcon size={48} radius="xl" color="lacquer" variant="filled" aria-label={t("call.leave")} onClick={() => void call.leave()}>
          <IconPhoneOff {...icon} />
        </ActionIcon>
      </Tooltip>
      <Modal opened={asking} onClose={() => setAsking(false)} title={t("call.endAsk")} closeButtonProps={{ "aria-label": t("call.close") }}>
        <Text>{t("call.endText")}</Text>
        <Group justify="flex-end" mt="md">
          <Button variant="default" onClick={() => setAsking(false)}>
            {t("form.cancel")}
          </Button>
          <Button
            loading={end.isPending}
            onClick={() => end.mutate(undefined, { onSuccess: () => void call.leave("ended"), onSettled: () => setAsking(false) })}
          >
            {t("call.endDone")}
          </Button>
        </Group>
      </Modal>
    </div>
  );
}

function Key({ children }: { children: ReactNode }) {
  return (
    <Text component="kbd" size="xs" c="dimmed" ff="inherit">
      {children}
    </Text>
  );
}

interface ControlProps {
  label: string;
  shortcut?: string;
  /** Something that should be noticed is off. */
  off?: boolean;
  /** Something is running or open. */
  on?: boolean;
  expanded?: boolean;
  /** Its own menu is open: the tooltip would lie over it. */
  opened?: boolean;
  loading?: boolean;
  onClick?: () => void;
  children: ReactNode;
  ref?: React.Ref<HTMLButtonElement>;
}

/** One round button of the bar; further props are those of a menu's or popover's target. */
function Control({ label, shortcut, off, on, expanded, opened, loading, onClick, children, ref, ...target }: ControlProps) {
  return (
    <Tooltip label={shortcut ? `${label} (${shortcut})` : label} disabled={opened ?? false}>
      <ActionIcon
        {...target}
        ref={ref}
        className={doorClasses.toggle}
        data-off={off || undefined}
        data-on={on || undefined}
        variant="default"
        size={48}
        radius="xl"
        aria-label={label}
        aria-keyshortcuts={shortcut}
        aria-expanded={opened ?? expanded}
        loading={loading}
        onClick={onClick}
      >
        {children}
      </ActionIcon>
    </Tooltip>
  );
}
