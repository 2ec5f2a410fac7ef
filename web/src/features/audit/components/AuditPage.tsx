import { Button } from "@mantine/core";
import { IconAdjustments, IconLock, IconShieldCheck } from "@tabler/icons-react";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useSession } from "../../../api/session";
import { paths } from "../../../lib/paths";
import { Page } from "../../../ui/Page";
import { PageHeader } from "../../../ui/PageHeader";
import { EmptyState } from "../../../ui/States";
import { usePageTitle } from "../../../lib/title";
import { questionOf, type Question } from "../question";
import { Activity } from "./Activity";
import { EventDetails } from "./EventDetails";
import { EventList } from "./EventList";
import { ExportButton } from "./ExportButton";
import { Filters } from "./Filters";
import { TreeState } from "./TreeState";
import classes from "./AuditPage.module.css";

/** The audit log: what is asked stands in the address, one event opens beside it. */
export function AuditPage() {
  const { t } = useTranslation("audit");
  const { grants } = useSession();
  usePageTitle(t("title"));
  if (!grants.some((g) => g.role === "auditor")) {
    return (
      <Page>
        <EmptyState page title={t("closed.title")} icon={<IconLock size={32} stroke={1.5} />}>
          {t("closed.text")}
        </EmptyState>
      </Page>
    );
  }
  return <Log />;
}

function Log() {
  const { t } = useTranslation("audit");
  const navigate = useNavigate();
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const question = questionOf(search);
  const event = typeof search["event"] === "string" ? search["event"] : "";
  const [shown, setShown] = useState<"" | "filters" | "state">("");
  const ask = (next: Question) => void navigate(paths.audit({ ...next }));
  const open = (id: string) => void navigate(paths.audit({ ...question, event: id }));
  const toggle = (part: "filters" | "state") => setShown((now) => (now === part ? "" : part));
  const icon = { size: 16, stroke: 1.5, "aria-hidden": true } as const;

  return (
    <Page full>
      <div className={classes.layout} data-shown={shown || undefined}>
        <div className={classes.main}>
          <div className={classes.head}>
            <PageHeader title={t("title")} description={t("lead")} actions={<ExportButton question={question} />} />
            <div className={classes.toggles}>
              <Button variant="default" size="compact-md" leftSection={<IconAdjustments {...icon} />} aria-expanded={shown === "filters"} onClick={() => toggle("filters")}>
                {t("filters.show")}
              </Button>
              <Button variant="default" size="compact-md" leftSection={<IconShieldCheck {...icon} />} aria-expanded={shown === "state"} onClick={() => toggle("state")}>
                {t("tree.show")}
              </Button>
            </div>
            <Filters question={question} onAsk={ask} />
          </div>
          <EventList question={question} selected={event} onOpen={open} />
        </div>
        <aside className={classes.side} aria-label={t("tree.title")}>
          <TreeState />
          <Activity question={question} onDay={(day) => ask({ ...question, from: day, until: day })} />
        </aside>
      </div>
      <EventDetails id={event} onClose={() => void navigate(paths.audit({ ...question }))} onAsk={(part) => ask({ ...question, ...part })} />
    </Page>
  );
}
