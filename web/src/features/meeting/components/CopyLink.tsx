import { ActionIcon, Tooltip } from "@mantine/core";
import { IconCheck, IconLink } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { toast } from "../../../ui/toast";

/** Copies a meeting's link, and says so. */
export function useCopyLink(link: string): { copied: boolean; copy: () => void } {
  const { t } = useTranslation("meeting");
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 2_000);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = () => {
    // Absent on plain http, and it may be refused.
    const done = navigator.clipboard ? navigator.clipboard.writeText(link) : Promise.reject(new Error("no clipboard"));
    done.then(
      () => {
        setCopied(true);
        toast.show({ id: "meeting-link", message: t("list.copied") });
      },
      () => toast.show({ id: "meeting-link", color: "red", message: t("list.copyFailed", { link }), autoClose: false }),
    );
  };
  return { copied, copy };
}

export function CopyLink({ link, label }: { link: string; label: string }) {
  const { t } = useTranslation("meeting");
  const { copied, copy } = useCopyLink(link);
  const Icon = copied ? IconCheck : IconLink;
  return (
    <Tooltip label={t("list.copy")}>
      <ActionIcon variant="subtle" color="gray" size="lg" aria-label={label} onClick={copy}>
        <Icon size={18} stroke={1.5} aria-hidden />
      </ActionIcon>
    </Tooltip>
  );
}
