import { Button, Group, Select, Stack, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Fragment, useState } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import { ownVisibilityQuery, setOwnVisibility, type Level, type OwnVisibility, type VisibleField } from "../api";
import { Problem } from "./Problem";
import classes from "./Profile.module.css";
import { Section } from "./Section";

const fields: readonly VisibleField[] = ["entry", "name", "title", "unit", "agency", "address", "phone", "mobile", "office", "photo"];
const levels: readonly Level[] = ["public", "all_agencies", "own_agency", "own_unit", "hidden"];

/** Who sees what of oneself: the agency's decision, but for what it leaves to its people. */
export function Visibility() {
  const { t } = useTranslation("account");
  const { data, error, refetch } = useQuery(ownVisibilityQuery);
  return (
    <Section title={t("visibility.title")} description={t("visibility.lead")}>
      {data ? (
        <Form key={JSON.stringify(data.own)} visibility={data} />
      ) : error ? (
        <ErrorState compact code={codeOf(error)} title={t("visibility.load_failed")} onRetry={() => void refetch()} />
      ) : (
        <ListSkeleton rows={3} />
      )}
    </Section>
  );
}

function Form({ visibility }: { visibility: OwnVisibility }) {
  const { t } = useTranslation("account");
  const client = useQueryClient();
  // What an administrator has set for oneself stands above one's own choice.
  const allowed = fields.filter((f) => visibility.allowed.some((a) => a === f));
  const mine = allowed.filter((f) => !visibility.set_by_administrator.some((o) => o.field === f));
  const saved = Object.fromEntries(visibility.own.map((o) => [o.field, o.level])) as Partial<Record<VisibleField, Level>>;
  const [chosen, setChosen] = useState(saved);
  const save = useMutation({
    meta: { inline: true },
    mutationFn: () => setOwnVisibility(allowed.flatMap((field) => (chosen[field] ? [{ field, level: chosen[field] }] : []))),
    onSuccess: (answer) => client.setQueryData(ownVisibilityQuery.queryKey, answer),
  });
  const changed = mine.some((f) => chosen[f] !== saved[f]);
  return (
    <>
      {mine.length > 0 && (
        <form
          onSubmit={(e) => {
            e.preventDefault();
            if (changed && !save.isPending) save.mutate();
          }}
        >
          <Stack gap="sm" maw={440} mb="md">
            <Problem error={save.error} title={t("profile.failed")} />
            {mine.map((f) => (
              <Select
                key={f} label={t("visibility.who", { field: t(`visibility.field.${f}`) })} allowDeselect={false} value={chosen[f] ?? "-"}
                data={[{ value: "-", label: t("visibility.follows") }, ...levels.map((l) => ({ value: l as string, label: t(`visibility.level.${l}`) }))]}
                onChange={(next) => next && setChosen({ ...chosen, [f]: next === "-" ? undefined : (next as Level) })}
              />
            ))}
            <Group gap="sm">
              <Button type="submit" disabled={!changed} loading={save.isPending}>
                {t("visibility.save")}
              </Button>
            </Group>
          </Stack>
        </form>
      )}
      <Text fw={500} mb={4}>
        {t("visibility.now")}
      </Text>
      <dl className={classes.levels}>
        {fields.map((f) => (
          <Fragment key={f}>
            <dt>{t(`visibility.field.${f}`)}</dt>
            <dd>{t(`visibility.level.${visibility.effective[f]}`)}</dd>
          </Fragment>
        ))}
      </dl>
    </>
  );
}
