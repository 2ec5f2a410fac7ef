import type { Track } from "livekit-client";
import { useEffect, useRef } from "react";
import classes from "./Tile.module.css";

interface Props {
  /** One's own, as the browser gives it; or another's, through the client library. */
  track: MediaStreamTrack | Track | null;
  label: string;
  mirrored?: boolean;
  /** Show the whole picture rather than fill the tile: a shared screen. */
  whole?: boolean;
  /** Keep it out of sight: nothing comes at the moment. */
  hidden?: boolean;
}

/** A moving picture. Its sound, if any, is played elsewhere. */
export function Picture({ track, label, mirrored = false, whole = false, hidden = false }: Props) {
  const ref = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = ref.current;
    if (!element || !track) return;
    if (track instanceof MediaStreamTrack) {
      element.srcObject = new MediaStream([track]);
      return () => {
        element.srcObject = null;
      };
    }
    track.attach(element);
    return () => {
      track.detach(element);
    };
  }, [track]);
  return (
    <video
      ref={ref}
      className={classes.picture}
      data-mirrored={mirrored || undefined}
      data-whole={whole || undefined}
      data-hidden={hidden || undefined}
      aria-label={label}
      aria-hidden={hidden || undefined}
      autoPlay
      muted
      playsInline
    />
  );
}
