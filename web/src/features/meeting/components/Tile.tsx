import { IconAntennaBars2, IconMicrophoneOff, IconScreenShare } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { shortAgency } from "../../../lib/names";
import { PersonMark } from "../../../ui/PersonLine";
import type { Member } from "../call";
import type { LocalMedia } from "../local-media";
import { useStore } from "../use";
import { Picture } from "./Picture";
import classes from "./Tile.module.css";

interface Props {
  member: Member;
  media: LocalMedia;
  /** The shared screen instead of the camera. */
  screen?: boolean;
  /** In a strip beside something larger. */
  small?: boolean;
}

/** One member's picture, or initials, with name, position and agency. */
export function Tile({ member, media, screen = false, small = false }: Props) {
  const { t } = useTranslation("meeting");
  const own = useStore(media.store);
  const track = screen ? member.screen : member.self ? (own.camera.on ? media.track("camera") : null) : member.camera;
  const held = !member.self && (screen ? member.screenHeld : member.cameraHeld);
  const micOn = member.self ? own.mic.on : member.mic;
  const agency = member.agencyShort || shortAgency(member.agency);
  const name = member.self ? t("call.self", { name: member.name }) : member.name;
  const title = screen ? (member.self ? t("call.sharingMine") : t("call.sharingOf", { name: member.name })) : name;
  return (
    <li
      className={classes.tile}
      data-speaking={(member.speaking && !screen) || undefined}
      data-picture={(track && !held) || undefined}
      data-small={small || undefined}
      aria-label={screen ? title : t("call.tile", { name, agency: [member.title, member.agency].filter(Boolean).join(", ") })}
    >
      {track && <Picture track={track} label={title} mirrored={member.self && !screen} whole={screen} hidden={held} />}
      {(!track || held) && (
        <div className={classes.away}>
          <PersonMark name={member.name} size={small ? 48 : 88} />
          {held && <div className={classes.held}>{t(screen ? "call.screenHeld" : "call.cameraHeld")}</div>}
        </div>
      )}
      <div className={classes.label}>
        {screen ? (
          <IconScreenShare size={16} stroke={1.5} aria-hidden />
        ) : (
          !micOn && <IconMicrophoneOff size={16} stroke={1.5} role="img" aria-label={t("call.micOffOf")} />
        )}
        <div className={classes.labelWords}>
          <div className={classes.name}>{title}</div>
          {!screen && <div className={classes.post}>{[member.title, agency].filter(Boolean).join(" · ")}</div>}
        </div>
        {member.weak && <IconAntennaBars2 size={16} stroke={1.5} role="img" aria-label={t("call.weak")} />}
        {member.speaking && !screen && <span className="mantine-visually-hidden">{t("call.speaking")}</span>}
      </div>
    </li>
  );
}
