import { Title } from "@mantine/core";
import { IconDownload, IconFile, IconFileText, IconFileTypePdf, IconFileZip, IconMail, IconPhoto, IconTable, type Icon } from "@tabler/icons-react";
import { useId } from "react";
import { useTranslation } from "react-i18next";
import { formatBytes } from "../../../lib/bytes";
import { useLang } from "../../../lib/i18n";
import type { Message } from "../api";
import classes from "./Mail.module.css";

const byEnding: [RegExp, Icon][] = [
  [/\.pdf$/i, IconFileTypePdf],
  [/\.(docx?|odt|rtf|txt|md)$/i, IconFileText],
  [/\.(xlsx?|ods|csv)$/i, IconTable],
  [/\.(zip|rar|7z|gz|tar)$/i, IconFileZip],
  [/\.(png|jpe?g|gif|webp|bmp|heic)$/i, IconPhoto],
  [/\.eml$/i, IconMail],
];

/** A file's kind, by its name; decoration beside it. */
export function FileIcon({ name }: { name: string }) {
  const Shown = byEnding.find(([ending]) => ending.test(name))?.[1] ?? IconFile;
  return <Shown size={20} stroke={1.5} aria-hidden />;
}

/** The files of a message, each to be saved; pictures that stand in the text are not listed again. */
export function Attachments({ m }: { m: Message }) {
  const { t } = useTranslation("mail");
  const lang = useLang();
  const id = useId();
  const files = (m.attachment_parts ?? []).filter((a) => !a.shown);
  if (files.length === 0) return null;
  return (
    <section className={classes.attached} aria-labelledby={id}>
      <Title order={3} id={id}>
        {t("files.count", { count: files.length })}
      </Title>
      <ul className={classes.files}>
        {files.map((a) => (
          <li key={a.part} style={{ maxWidth: "100%", display: "contents" }}>
            <a className={classes.file} href={a.url} download={a.name} title={a.name}>
              <span className="mantine-visually-hidden">{t("files.save")}</span>
              <FileIcon name={a.name} />
              <span className={classes.fileWords}>
                <span className={classes.fileName}>{a.name}</span>
                <span className={`${classes.small} tabular`}>{formatBytes(a.size, lang)}</span>
              </span>
              <IconDownload size={18} stroke={1.5} aria-hidden />
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}
