import { Button, Checkbox, Group, Progress, SegmentedControl, Table, Text, Title } from "@mantine/core";
import { IconArrowLeft, IconCheck } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Agency } from "../../../api/directory";
import { codeOf } from "../../../api/error";
import { formatDateTime } from "../../../lib/dates";
import { useLang } from "../../../lib/i18n";
import { paths } from "../../../lib/paths";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import { useAct } from "../api";
import { applyImport, entriesQuery, entryKinds, importQuery, knownColumns, knownProblems, type EntryKind, type Import, type ImportProblem } from "../imports";
import { PanelSkeleton } from "./AdminPage";
import { Confirm } from "./Dialogs";
import classes from "./Admin.module.css";

/** What one list would change, or has changed, or why it cannot be used. */
export function ImportReport({ id, agency }: { id: string; agency: Agency }) {
  const { t } = useTranslation("admin");
  const { data: report, error, refetch } = useQuery(importQuery(id));
  return (
    <div className={classes.page} data-item>
      <Button
        mb="sm" ml={-8} variant="subtle" color="gray" size="compact-md" leftSection={<IconArrowLeft size={16} stroke={1.5} aria-hidden />}
        renderRoot={(props) => <Link {...paths.admin("imports", undefined, { agency: agency.id })} {...props} />}
      >
        {t("section.imports")}
      </Button>
      {report ? (
        <Known report={report} />
      ) : error ? (
        <ErrorState code={codeOf(error)} title={t("imports.loadFailed")} onRetry={() => void refetch()} />
      ) : (
        <PanelSkeleton />
      )}
    </div>
  );
}

function Known({ report }: { report: Import }) {
  const { t } = useTranslation("admin");
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const applied = report.state === "applied";
  useEffect(() => {
    // The directory is another one now.
    if (applied) void client.invalidateQueries({ queryKey: ["directory"] });
  }, [applied, client]);
  const counts = [
    ["rows", report.rows], ["add", report.adds], ["change", report.changes], ["move", report.moves], ["leave", report.leaves], ["unchanged", report.unchanged],
  ] as const;
  return (
    <>
      <Group justify="space-between" align="flex-start" mb="md">
        <div style={{ minWidth: 0 }}>
          <Title order={1} style={{ overflowWrap: "anywhere" }}>
            {report.file_name || t("imports.unnamed")}
          </Title>
          <Text c="dimmed">{[t(`imports.state.${report.state}`), report.by, formatDateTime(report.created_at)].join(" · ")}</Text>
        </div>
        {report.state === "previewed" && report.total > 0 && <Button onClick={() => setAsking(true)}>{t("imports.apply")}</Button>}
      </Group>
      {report.state === "previewed" && <Text mb="md">{t(report.total > 0 ? "imports.dry" : "imports.nothing")}</Text>}
      {report.state === "stale" && <Text mb="md">{t("imports.stale")}</Text>}
      {report.state === "applying" && (
        <div role="status">
          <Text mb={4} className="tabular">
            {t("imports.progress", { done: report.done, total: report.total })}
          </Text>
          <Progress value={report.total > 0 ? (100 * report.done) / report.total : 0} aria-label={t("imports.applying")} mb="md" />
        </div>
      )}
      {applied && (
        <Group gap="xs" mb="md" role="status">
          <IconCheck size={18} stroke={1.5} color="var(--commsd-ok)" aria-hidden />
          <Text>{t("imports.applied", { done: report.done - report.skipped, skipped: report.skipped })}</Text>
        </Group>
      )}
      {report.state !== "refused" && (
        <dl className={classes.numbers}>
          {counts.map(([name, n]) => (
            <div key={name}>
              <dt>{t(`imports.count.${name}`)}</dt>
              <dd>{n}</dd>
            </div>
          ))}
        </dl>
      )}
      {report.ignored.length > 0 && (
        <Text mt="sm" c="dimmed">
          {t("imports.ignored", { columns: report.ignored.join(", ") })}
        </Text>
      )}
      {report.problem_count > 0 && <Problems problems={report.problems} count={report.problem_count} />}
      {report.state !== "refused" && report.total > 0 && <Entries report={report} />}
      {asking && <Apply report={report} onClose={() => setAsking(false)} />}
    </>
  );
}

function Problems({ problems, count }: { problems: ImportProblem[]; count: number }) {
  const { t } = useTranslation("admin");
  const lang = useLang();
  return (
    <section className={classes.part} aria-label={t("imports.problems")}>
      <Title order={2}>{t("imports.problemCount", { count })}</Title>
      <Text c="dimmed" mb="sm">
        {t("imports.problemsHint")}
      </Text>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls sideways must be reached by keys */}
      <div className={classes.scroll} tabIndex={0} role="region" aria-label={t("imports.problemTable")}>
        <Table miw={640} verticalSpacing={8}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t("imports.row")}</Table.Th>
              <Table.Th>{t("imports.column")}</Table.Th>
              <Table.Th>{t("imports.value")}</Table.Th>
              <Table.Th>{t("imports.wrong")}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {problems.slice(0, 200).map((p, i) => (
              <Table.Tr key={i}>
                <Table.Td className="tabular">{p.row || t("imports.wholeFile")}</Table.Td>
                <Table.Td>{p.column}</Table.Td>
                <Table.Td style={{ overflowWrap: "anywhere" }}>{p.value}</Table.Td>
                <Table.Td>
                  {lang === "vi" && knownProblems.has(p.code) ? (
                    <>
                      {t(`imports.code.${p.code}`)}
                      <Text size="xs" c="dimmed" lang="en">
                        {p.text}
                      </Text>
                    </>
                  ) : (
                    `${p.text}: ${p.cure}`
                  )}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </div>
      {count > 200 && <Text c="dimmed">{t("imports.moreProblems", { count: count - 200 })}</Text>}
    </section>
  );
}

function Entries({ report }: { report: Import }) {
  const { t } = useTranslation("admin");
  const count: Record<EntryKind, number> = { add: report.adds, change: report.changes, move: report.moves, leave: report.leaves };
  const there = entryKinds.filter((k) => count[k] > 0);
  const [chosen, setChosen] = useState<EntryKind>();
  const kind = chosen ?? there[0] ?? "add";
  const found = useInfiniteQuery(entriesQuery(report.id, kind));
  const entries = found.data?.pages.flat() ?? [];
  return (
    <section className={classes.part} aria-label={t("imports.entries")}>
      <Title order={2} mb="sm">
        {t("imports.entries")}
      </Title>
      <div className={classes.scroll}>
        <SegmentedControl
          aria-label={t("imports.kind")} value={kind} onChange={(next) => setChosen(next as EntryKind)} mb="sm"
          data={there.map((k) => ({ value: k, label: `${t(`imports.count.${k}`)} (${count[k]})` }))}
        />
      </div>
      {found.error && !found.data ? (
        <ErrorState compact code={codeOf(found.error)} title={t("imports.entriesFailed")} onRetry={() => void found.refetch()} />
      ) : !found.data ? (
        <ListSkeleton rows={5} />
      ) : (
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls sideways must be reached by keys
        <div className={classes.scroll} tabIndex={0} role="region" aria-label={t("imports.table")}>
          <Table miw={640} verticalSpacing={8}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t("imports.row")}</Table.Th>
                <Table.Th>{t("people.name")}</Table.Th>
                <Table.Th>{t("imports.what")}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {entries.map((e) => (
                <Table.Tr key={e.seq}>
                  <Table.Td className="tabular">{e.row || "–"}</Table.Td>
                  <Table.Td>
                    {e.person_name}
                    {e.external_key && (
                      <Text size="xs" c="dimmed">
                        {e.external_key}
                      </Text>
                    )}
                  </Table.Td>
                  <Table.Td>
                    {e.fields.map((f, i) => (
                      <div key={i}>
                        <Text span c="dimmed">{`${knownColumns.has(f.name) ? t(`imports.field.${f.name}`) : f.name}: `}</Text>
                        {f.old && <del>{f.old}</del>}
                        {f.old && f.new && " → "}
                        {f.new && <ins style={{ textDecoration: "none", fontWeight: 500 }}>{f.new}</ins>}
                      </div>
                    ))}
                    {e.outcome && (
                      <Text size="sm" c="var(--commsd-warn)">
                        {t("imports.skipped")} <span lang="en">({e.outcome})</span>
                      </Text>
                    )}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </div>
      )}
      {found.hasNextPage && (
        <Button variant="default" mt="sm" loading={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
          {t("more")}
        </Button>
      )}
    </section>
  );
}

/** Asks before a list is applied, and says who leaves. */
function Apply({ report, onClose }: { report: Import; onClose: () => void }) {
  const { t } = useTranslation("admin");
  const [override, setOverride] = useState(false);
  const act = useAct(applyImport);
  return (
    <Confirm
      title={t("imports.applyTitle", { count: report.total })} submit={t("imports.apply")} failed={t("imports.applyFailed")} error={act.error} busy={act.isPending}
      incomplete={report.needs_override && !override} onClose={onClose} onSubmit={() => act.mutate({ id: report.id, override }, { onSuccess: onClose })}
    >
      <Text>{t("imports.applyText", { adds: report.adds, changes: report.changes, moves: report.moves })}</Text>
      {report.leaves > 0 && <Text>{t("imports.leaves", { count: report.leaves })}</Text>}
      {report.needs_override && (
        <Checkbox
          label={t("imports.override", { count: report.leaves })} description={t("imports.overrideHint", { count: report.may_leave })} checked={override}
          onChange={(e) => setOverride(e.currentTarget.checked)}
        />
      )}
    </Confirm>
  );
}
