import { ActionIcon, Button, Progress, Text } from "@mantine/core";
import { IconAlertTriangle, IconX } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { formatBytes } from "../../../lib/bytes";
import { useLang } from "../../../lib/i18n";
import type { FileItem } from "../files";
import { FileIcon } from "./Attachments";
import classes from "./Mail.module.css";

interface Props {
  items: FileItem[];
  limit: number | undefined;
  onRemove: (item: FileItem) => void;
}

/** The files of a letter being written: how far each is, and what went wrong. */
export function FileItems({ items, limit, onRemove }: Props) {
  const { t } = useTranslation("mail");
  const lang = useLang();
  if (items.length === 0) return null;
  const words = (item: FileItem & { state: "failed" }) =>
    item.code === "too_large" ? t("files.tooLarge", { limit: formatBytes(limit ?? 0, lang) }) : item.code === "offline" ? t("files.offline") : t("files.failed");
  return (
    <ul className={classes.files} aria-label={t("files.label")} style={{ marginTop: 0 }}>
      {items.map((item) => (
        <li key={item.key} className={classes.file}>
          {item.state === "failed" ? <IconAlertTriangle size={20} stroke={1.5} color="var(--commsd-warn)" aria-hidden /> : <FileIcon name={item.name} />}
          <span className={classes.fileWords}>
            <span className={classes.fileName} title={item.name}>
              {item.name}
            </span>
            {item.state === "up" && <Progress value={item.part * 100} size="xs" mt={4} aria-label={t("files.progress", { name: item.name })} />}
            {item.state === "done" && <span className={`${classes.small} tabular`}>{formatBytes(item.size, lang)}</span>}
            {item.state === "failed" && (
              <Text size="xs" c="var(--commsd-warn)" role="alert">
                {words(item)}
              </Text>
            )}
          </span>
          {item.state === "failed" && item.again && (
            <Button size="compact-xs" variant="default" onClick={item.again}>
              {t("files.again")}
            </Button>
          )}
          <ActionIcon variant="subtle" color="gray" size="sm" aria-label={t("files.remove", { name: item.name })} onClick={() => onRemove(item)}>
            <IconX size={16} stroke={1.5} aria-hidden />
          </ActionIcon>
        </li>
      ))}
    </ul>
  );
}
