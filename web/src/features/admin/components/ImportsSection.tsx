import { Button, FileButton, Group, Text, Title } from "@mantine/core";
import { IconFileImport, IconUpload } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Agency } from "../../../api/directory";
import { formatDateTime } from "../../../lib/dates";
import { paths } from "../../../lib/paths";
import { useAct } from "../api";
import { compare, importsQuery, template } from "../imports";
import type { SectionProps } from "./AdminPage";
import { Problem } from "./Dialogs";
import { ImportReport } from "./ImportReport";
import { ListPage } from "./ListPage";
import classes from "./Admin.module.css";

/** Staff lists: comparing one with the agency, what it would change, and those of before. */
export function ImportsSection({ agency, id }: SectionProps) {
  return id ? <ImportReport key={id} id={id} agency={agency} /> : <Imports agency={agency} />;
}

function Imports({ agency }: { agency: Agency }) {
  const { t } = useTranslation("admin");
  const { data: imports, error, refetch } = useQuery(importsQuery(agency.id));
  return (
    <ListPage
      title={t("section.imports")} description={t("imports.lead")} items={imports} error={error} failed={t("imports.failed")} onRetry={() => void refetch()}
      empty={t("imports.empty")} emptyHint={t("imports.emptyHint")} icon={<IconFileImport size={32} stroke={1.5} />} actions={<Upload agency={agency} />}
    >
      {(all) => (
        <section className={classes.part} aria-label={t("imports.before")}>
          <Title order={2} mb={4}>
            {t("imports.before")}
          </Title>
          <ul className={classes.lines}>
            {all.map((i) => (
              <li key={i.id}>
                <div>
                  <Text fw={500} style={{ overflowWrap: "anywhere" }}>
                    {i.file_name || t("imports.unnamed")}
                  </Text>
                  <Text size="sm" c="dimmed" className="tabular">
                    {[formatDateTime(i.created_at), i.by, t(`imports.state.${i.state}`), i.state !== "refused" && t("imports.sum", { adds: i.adds, changes: i.changes, moves: i.moves, leaves: i.leaves })]
                      .filter(Boolean)
                      .join(" · ")}
                  </Text>
                </div>
                <Button
                  size="compact-sm" variant="subtle" color="gray" aria-label={t("imports.openOne", { name: i.file_name || t("imports.unnamed") })}
                  renderRoot={(props) => <Link {...paths.admin("imports", i.id, { agency: agency.id })} {...props} />}
                >
                  {t("imports.open")}
                </Button>
              </li>
            ))}
          </ul>
        </section>
      )}
    </ListPage>
  );
}

/** The button that sends a list to be compared, and an empty one to fill in. */
function Upload({ agency }: { agency: Agency }) {
  const { t } = useTranslation("admin");
  const navigate = useNavigate();
  const act = useAct(compare);
  const send = (file: File | null) => file && act.mutate({ agency: agency.id, file }, { onSuccess: (made) => void navigate(paths.admin("imports", made.id, { agency: agency.id })) });
  const save = () => {
    const url = URL.createObjectURL(template());
    const link = Object.assign(document.createElement("a"), { href: url, download: t("imports.templateName") });
    link.click();
    URL.revokeObjectURL(url);
  };
  return (
    <div>
      <Group gap="xs">
        <Button variant="default" onClick={save}>
          {t("imports.template")}
        </Button>
        <FileButton accept=".csv,text/csv,text/plain" onChange={send} inputProps={{ "aria-label": t("imports.file") }}>
          {(props) => (
            <Button {...props} loading={act.isPending} leftSection={<IconUpload size={16} stroke={1.5} aria-hidden />}>
              {t("imports.choose")}
            </Button>
          )}
        </FileButton>
      </Group>
      <Text size="sm" c="dimmed" mt={4} role="status">
        {act.isPending ? t("imports.comparing") : ""}
      </Text>
      <Problem error={act.error} title={t("imports.compareFailed")} />
    </div>
  );
}
