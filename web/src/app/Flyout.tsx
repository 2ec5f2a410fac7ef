import { useId, useState, type CSSProperties, type MouseEvent, type ReactNode } from "react";
import classes from "./Flyout.module.css";

interface Props {
  /** Names the dialog for who listens. */
  label: string;
  width: number;
  /** The button, given what makes it open and close this. */
  button: (props: { popoverTarget: string }) => ReactNode;
  /** What it holds, while it is open. */
  children: ReactNode;
  onClose?: () => void;
}

/**
 * A small window under the header's right end. The browser's own popover does
 * what a library would: Escape and a click elsewhere close it, the focus goes in
 * and comes back, nothing lies above it.
 */
export function Flyout({ label, width, button, children, onClose }: Props) {
  const id = useId();
  const [open, setOpen] = useState(false);
  return (
    <>
      {button({ popoverTarget: id })}
      <div
        id={id}
        popover="auto"
        role="dialog"
        aria-label={label}
        className={classes.flyout}
        style={{ "--flyout-width": `${width}px` } as CSSProperties}
        onBeforeToggle={(e) => {
          setOpen(e.newState === "open");
          if (e.newState === "closed") onClose?.();
        }}
      >
        {open && children}
      </div>
    </>
  );
}

/** For links within: one leads elsewhere, so the window goes. */
export function closeFlyout(e: MouseEvent<HTMLElement>): void {
  e.currentTarget.closest<HTMLElement>("[popover]")?.hidePopover();
}
