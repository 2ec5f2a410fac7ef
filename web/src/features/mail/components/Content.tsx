import { Button } from "@mantine/core";
import { IconPhotoOff } from "@tabler/icons-react";
import { Fragment, useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Message } from "../api";
import classes from "./Mail.module.css";

/** What a message says: its HTML in a frame where nothing runs, else its text. */
export function Content({ m }: { m: Message }) {
  const { t } = useTranslation("mail");
  const [images, setImages] = useState(false);
  if (!m.has_html) return m.text.trim() ? <PlainText text={m.text} /> : <p className={classes.small}>{t("noText")}</p>;
  return (
    <>
      {m.remote_images && !images && (
        <div className={classes.remote}>
          <IconPhotoOff size={18} stroke={1.5} aria-hidden />
          <span>{t("images.blocked")}</span>
          <Button size="xs" variant="default" onClick={() => setImages(true)}>
            {t("images.show")}
          </Button>
        </div>
      )}
      <HtmlFrame src={`/api/v1/mail/messages/${encodeURIComponent(m.id)}/html${images ? "?images" : ""}`} />
    </>
  );
}

/**
 * A document of the server's own cleaning, under a policy that runs nothing; the
 * sandbox holds even if both failed. Same origin only so that its height can be
 * measured from here.
 */
function HtmlFrame({ src }: { src: string }) {
  const { t } = useTranslation("mail");
  const frame = useRef<HTMLIFrameElement>(null);
  const [height, setHeight] = useState(240);
  const watch = useRef<ResizeObserver>(undefined);
  useEffect(() => () => watch.current?.disconnect(), []);
  const fit = () => {
    const doc = frame.current?.contentDocument;
    if (!doc?.body) return;
    const measure = () => setHeight(Math.min(20_000, Math.ceil(doc.body.getBoundingClientRect().height) + 2));
    watch.current?.disconnect();
    watch.current = new ResizeObserver(measure);
    watch.current.observe(doc.body);
    measure();
  };
  return (
    <iframe
      ref={frame} className={classes.frame} title={t("content")} src={src} onLoad={fit} style={{ height }}
      sandbox="allow-same-origin allow-popups allow-popups-to-escape-sandbox" referrerPolicy="no-referrer"
    />
  );
}

const link = /\bhttps?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]}'’”]/g;

/** Plain text as it came: links lead somewhere, quoted lines step back. */
export function PlainText({ text }: { text: string }) {
  const blocks = useMemo(() => {
    const out: { quoted: boolean; text: string }[] = [];
    for (const line of text.replace(/\r\n?/g, "\n").trim().split("\n")) {
      const quoted = line.startsWith(">");
      const shown = quoted ? line.replace(/^> ?/, "") : line;
      const last = out.at(-1);
      if (last && last.quoted === quoted) last.text += `\n${shown}`;
      else out.push({ quoted, text: shown });
    }
    return out;
  }, [text]);
  return (
    <div className={classes.text}>
      {blocks.map((b, i) =>
        b.quoted ? (
          <blockquote key={i} className={classes.quoted}>
            <Linked text={b.text} />
          </blockquote>
        ) : (
          <Fragment key={i}>
            <Linked text={b.text} />
            {i < blocks.length - 1 && "\n"}
          </Fragment>
        ),
      )}
    </div>
  );
}

function Linked({ text }: { text: string }) {
  const parts: (string | { href: string })[] = [];
  let from = 0;
  for (const m of text.matchAll(link)) {
    parts.push(text.slice(from, m.index), { href: m[0] });
    from = m.index + m[0].length;
  }
  parts.push(text.slice(from));
  return parts.map((p, i) =>
    typeof p === "string" ? (
      p
    ) : (
      <a key={i} href={p.href} target="_blank" rel="noopener noreferrer" style={{ color: "var(--mantine-color-anchor)" }}>
        {p.href}
      </a>
    ),
  );
}
