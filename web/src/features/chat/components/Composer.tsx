import { ActionIcon, Textarea } from "@mantine/core";
import { IconSend } from "@tabler/icons-react";
import { useEffect, useRef, type KeyboardEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useConnection } from "../../../api/connection";
import { useDraft } from "../../../lib/draft";
import { bytesOf, meansSend } from "../text";
import classes from "./Composer.module.css";

interface Props {
  /** Under which what is typed is kept. */
  draft: string;
  /** Who will read it. */
  to: string;
  maxBytes: number;
  onTyping?: () => void;
  /** Takes the text; what is not taken stays. */
  onSend: (text: string) => boolean | Promise<boolean>;
  busy?: boolean;
  /** What went wrong, above the field. */
  problem?: ReactNode;
}

/** Where one writes. Enter sends, but never while an input method composes a word. */
export function Composer({ draft, to, maxBytes, onTyping, onSend, busy = false, problem }: Props) {
  const { t } = useTranslation("chat");
  const [text, setText, clear] = useDraft(draft, "");
  const field = useRef<HTMLTextAreaElement>(null);
  const away = useConnection((s) => s.state === "reconnecting" || s.state === "offline");
  const over = bytesOf(text) - maxBytes;
  // On a screen that is touched, the keyboard's Enter makes a line; there is the button.
  const touch = matchMedia("(pointer: coarse)").matches;

  useEffect(() => {
    if (!touch) field.current?.focus();
  }, [touch]);

  const send = async () => {
    const words = text.trim();
    if (!words || over > 0 || busy) return;
    if (await onSend(words)) clear();
    field.current?.focus();
  };
  const onKeyDown = (e: KeyboardEvent<HTMLTextAreaElement>) => {
    const { key, shiftKey, ctrlKey, altKey, metaKey, keyCode, isComposing } = e.nativeEvent;
    if (!meansSend({ key, shiftKey, ctrlKey, altKey, metaKey, keyCode, isComposing })) return;
    if (touch && !ctrlKey) return;
    e.preventDefault();
    void send();
  };

  return (
    <form
      className={classes.composer}
      onSubmit={(e) => {
        e.preventDefault();
        void send();
      }}
    >
      {problem}
      <div className={classes.field}>
        <Textarea
          ref={field}
          className={classes.text}
          aria-label={t("composer.label", { name: to })}
          placeholder={t("composer.placeholder", { name: to })}
          autosize
          minRows={1}
          maxRows={8}
          value={text}
          error={over > 0 ? t("composer.too_long", { count: over }) : undefined}
          onChange={(e) => {
            setText(e.currentTarget.value);
            if (e.currentTarget.value.trim()) onTyping?.();
          }}
          onKeyDown={onKeyDown}
        />
        <ActionIcon type="submit" variant="filled" size={36} aria-label={t("composer.send")} title={t("composer.send")} loading={busy} disabled={!text.trim() || over > 0}>
          <IconSend size={18} stroke={1.5} aria-hidden />
        </ActionIcon>
      </div>
      <p className={classes.hint}>{away ? t("composer.away") : !touch && <span className={classes.keys}>{t("composer.hint")}</span>}</p>
    </form>
  );
}
