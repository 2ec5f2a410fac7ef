import { Button, Select, Stack, Text, Title } from "@mantine/core";
import { IconEye } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Fragment, useState } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import { toast } from "../../../ui/toast";
import { useAct } from "../api";
import { useEdits } from "../edits";
import { setVisibility, visibilityQuery, type Override, type PersonRecord, type Visibility } from "../people";
import { levels, visibleFields, type Field, type Level } from "../things";
import { Problem } from "./Dialogs";
import { SaveBar } from "./SaveBar";
import classes from "./Admin.module.css";

/** Who sees what of one person; what is decided here stands above the agency's policy and the person's own choice. */
export function VisibilityPart({ person }: { person: PersonRecord }) {
  const { t } = useTranslation("admin");
  const { data, error, refetch } = useQuery(visibilityQuery(person.id));
  const [changing, setChanging] = useState(false);
  if (codeOf(error) === "forbidden" && error) return null; // not this administrator's to know
  return (
    <section className={classes.part} aria-label={t("visibility.title")}>
      <Title order={3} mb={4}>
        {t("visibility.title")}
      </Title>
      <Text c="dimmed" mb="sm">
        {t("visibility.lead")}
      </Text>
      {!data ? (
        error ? (
          <ErrorState compact code={codeOf(error)} title={t("visibility.failed")} onRetry={() => void refetch()} />
        ) : (
          <ListSkeleton rows={2} />
        )
      ) : changing ? (
        <Form person={person} visibility={data} onDone={() => setChanging(false)} />
      ) : (
        <>
          <Shown visibility={data} />
          <Button mt="md" variant="default" leftSection={<IconEye size={16} stroke={1.5} aria-hidden />} onClick={() => setChanging(true)}>
            {t("visibility.change")}
          </Button>
        </>
      )}
    </section>
  );
}

/** What holds now, and why it is not what the agency's policy says. */
function Shown({ visibility }: { visibility: Visibility }) {
  const { t } = useTranslation("admin");
  const why = (field: Field) =>
    visibility.set_by_administrator.some((o) => o.field === field) ? t("visibility.byAdmin")
    : visibility.own.some((o) => o.field === field) && visibility.allowed.some((a) => a === field) ? t("visibility.bySelf")
    : "";
  return (
    <dl className={classes.facts}>
      {visibleFields.map((f) => (
        <Fragment key={f}>
          <dt>{t(`field.${f}`)}</dt>
          <dd>{[t(`level.${visibility.effective[f]}`), why(f)].filter(Boolean).join(" · ")}</dd>
        </Fragment>
      ))}
    </dl>
  );
}

function Form({ person, visibility, onDone }: { person: PersonRecord; visibility: Visibility; onDone: () => void }) {
  const { t } = useTranslation("admin");
  const saved = Object.fromEntries(visibility.set_by_administrator.map((o) => [o.field, o.level])) as Partial<Record<Field, Level>>;
  const edits = useEdits<Record<Field, Level | "">>(`visibility.${person.id}`, Object.fromEntries(visibleFields.map((f) => [f, saved[f] ?? ""])) as Record<Field, Level | "">);
  const save = useAct(setVisibility);
  const submit = () => {
    const set = visibleFields.flatMap((f): Override[] => (edits.value[f] ? [{ field: f, level: edits.value[f] }] : []));
    save.mutate(
      { person: person.id, set_by_administrator: set },
      {
        onSuccess: () => {
          edits.clear();
          toast.show({ message: t("saved") });
          onDone();
        },
      },
    );
  };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        if (edits.changed) submit();
      }}
    >
      <Stack gap="md">
        <Problem error={save.error} title={t("saveFailed")} />
        <div className={classes.fields}>
          {visibleFields.map((f) => (
            <Select
              key={f} label={t(`field.${f}`)} allowDeselect={false}
              data={[{ value: "-", label: t("visibility.follows") }, ...levels.map((l) => ({ value: l as string, label: t(`level.${l}`) }))]}
              value={edits.value[f] || "-"} onChange={(next) => next && edits.set({ [f]: next === "-" ? "" : (next as Level) })}
            />
          ))}
        </div>
        <SaveBar
          changed={edits.changed} busy={save.isPending}
          onReset={() => {
            edits.clear();
            onDone();
          }}
          onLeave={onDone}
        />
      </Stack>
    </form>
  );
}
