import { useEffect, useRef, useState } from "react";
import type { Member } from "../call";
import { gridShape } from "../layout";
import type { LocalMedia } from "../local-media";
import { Tile } from "./Tile";
import classes from "./CallRoom.module.css";

/** Everyone's tiles: a grid, or a shared screen with the others beside it. */
export function Stage({ members, media, label }: { members: Member[]; media: LocalMedia; label: string }) {
  const box = useRef<HTMLUListElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const shared = members.find((m) => m.screen);
  const alone = shared === undefined;
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(([entry]) => {
      if (entry) setSize({ width: entry.contentRect.width, height: entry.contentRect.height });
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [alone]);

  if (shared) {
    return (
      <div className={classes.focus}>
        <ul className={classes.focusMain} aria-label={label}>
          <Tile member={shared} media={media} screen />
        </ul>
        <ul className={classes.strip} aria-label={label}>
          {members.map((m) => (
            <Tile key={m.identity} member={m} media={media} small />
          ))}
        </ul>
      </div>
    );
  }
  const shape = gridShape(members.length, size.width, size.height);
  const rows = Math.ceil(members.length / shape.columns);
  // What scrolls can be reached by the keyboard; what only overflows until it is measured anew is no place to go.
  const scrolls = size.height > 0 && rows * (shape.height + 8) - 8 > size.height + 1;
  return (
    <ul
      ref={box}
      className={classes.grid}
      data-scrolls={scrolls || undefined}
      {...(scrolls && { tabIndex: 0 })}
      aria-label={label}
      style={{ gridTemplateColumns: `repeat(${shape.columns}, ${shape.width}px)`, gridAutoRows: `${shape.height}px` }}
    >
      {members.map((m) => (
        <Tile key={m.identity} member={m} media={media} small={members.length > 9} />
      ))}
    </ul>
  );
}
