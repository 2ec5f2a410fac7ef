import { Button, Group, Loader } from "@mantine/core";
import { IconDownload, IconX } from "@tabler/icons-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { toast } from "../../../ui/toast";
import { fetchExport, save } from "../export";
import type { Question } from "../question";

/** Exports what is asked for, tells how far it is, and can be stopped. */
export function ExportButton({ question }: { question: Question }) {
  const { t } = useTranslation("audit");
  const [events, setEvents] = useState<number | null>(null); // null: nothing is exported now
  const abort = useRef<AbortController | null>(null);
  useEffect(() => () => abort.current?.abort(), []);

  const start = async () => {
    const control = new AbortController();
    abort.current = control;
    setEvents(0);
    try {
      const exported = await fetchExport(question, control.signal, setEvents);
      save(exported);
      toast.show({ message: t("export.done", { count: exported.events }) });
    } catch {
      if (!control.signal.aborted) toast.show({ color: "red", message: t("export.failed") });
    } finally {
      if (abort.current === control) setEvents(null);
    }
  };
  if (events === null) {
    return (
      <Button variant="default" leftSection={<IconDownload size={16} stroke={1.5} aria-hidden />} onClick={() => void start()}>
        {t("export.button")}
      </Button>
    );
  }
  return (
    <Group gap="xs">
      <Loader size="xs" aria-hidden />
      <span className="tabular" role="status">
        {t("export.busy", { count: events })}
      </span>
      <Button variant="default" size="compact-md" leftSection={<IconX size={16} stroke={1.5} aria-hidden />} onClick={() => abort.current?.abort()}>
        {t("export.cancel")}
      </Button>
    </Group>
  );
}
