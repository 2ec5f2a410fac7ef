import { Checkbox, Radio, Select, Stack, Switch, Table, Text, Title } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Fragment } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { useSession } from "../../../api/session";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import { toast } from "../../../ui/toast";
import { useAct } from "../api";
import { useEdits } from "../edits";
import { holdsAt } from "../scope";
import { levels, policyQuery, setPolicy, visibleFields as fields, type Field, type Level, type Policy } from "../things";
import type { SectionProps } from "./AdminPage";
import { Problem } from "./Dialogs";
import { SaveBar } from "./SaveBar";
import classes from "./Admin.module.css";

const personal = ["phone", "mobile", "office", "photo"] as const;
type Personal = (typeof personal)[number];

/** Who sees what of the agency's people, and how they sign in. */
export function PolicySection({ agency }: SectionProps) {
  const { t } = useTranslation("admin");
  const { data: policy, error, refetch } = useQuery(policyQuery(agency.id));
  const { grants } = useSession();
  const may = holdsAt(grants, ["security_admin"], agency.id, "");
  return (
    <div className={classes.page}>
      <Title order={1} mb="md">
        {t("section.policies")}
      </Title>
      {policy && !may ? (
        <Shown policy={policy} />
      ) : policy ? (
        <Form key={agency.id} agency={agency.id} policy={policy} />
      ) : error ? (
        <ErrorState code={codeOf(error)} title={t("policy.failed")} text={codeOf(error) === "forbidden" ? t("whom.security") : undefined} onRetry={() => void refetch()} />
      ) : (
        <ListSkeleton rows={8} />
      )}
    </div>
  );
}

/** What holds, for who cannot change it: words, not greyed choices. */
function Shown({ policy }: { policy: Policy }) {
  const { t } = useTranslation("admin");
  return (
    <>
      <Text c="dimmed" mb="md">
        {t("whom.security")}
      </Text>
      <Title order={2} mb="sm">
        {t("policy.visibility")}
      </Title>
      <dl className={classes.facts}>
        {fields.map((f) => (
          <Fragment key={f}>
            <dt>{t(`field.${f}`)}</dt>
            <dd>
              {t(`level.${policy.visibility[f]}`)}
              {isPersonal(f) && policy.personal.includes(f) && ` · ${t("policy.owns")}`}
            </dd>
          </Fragment>
        ))}
      </dl>
      <Title order={2} mt="lg" mb="sm">
        {t("policy.signIn")}
      </Title>
      <dl className={classes.facts}>
        <dt>{t("policy.second")}</dt>
        <dd>{t(`policy.secondFor.${policy.sign_in.second_factor}`)}</dd>
        <dt>{t("policy.apps")}</dt>
        <dd>{t(policy.sign_in.app_passwords ? "policy.yes" : "policy.no")}</dd>
      </dl>
    </>
  );
}

function Form({ agency, policy }: { agency: string; policy: Policy }) {
  const { t } = useTranslation("admin");
  const edits = useEdits(`policy.${agency}`, { visibility: policy.visibility, personal: policy.personal, sign_in: policy.sign_in });
  const save = useAct(setPolicy);
  const { value, set } = edits;
  const wide = useMediaQuery("(min-width: 1000px)", true, { getInitialValueInEffect: false });
  const level = (field: Field, next: Level) => set({ visibility: { ...value.visibility, [field]: next } });
  const own = (field: Personal, on: boolean) => set({ personal: personal.filter((p) => (p === field ? on : value.personal.includes(p))) });
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        if (edits.changed) {
          save.mutate(
            { agency, ...value },
            {
              onSuccess: () => {
                edits.clear();
                toast.show({ message: t("saved") });
              },
            },
          );
        }
      }}
    >
      <Problem error={save.error} title={t("saveFailed")} />
      <section className={classes.part} aria-labelledby="policy-visibility">
        <Title order={2} id="policy-visibility">
          {t("policy.visibility")}
        </Title>
        <Text c="dimmed" mb="sm">
          {t("policy.visibilityHint")}
        </Text>
        {wide ? (
          <Table verticalSpacing={6} aria-labelledby="policy-visibility">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t("policy.field")}</Table.Th>
                {levels.map((l) => (
                  <Table.Th key={l} ta="center">
                    {t(`level.${l}`)}
                  </Table.Th>
                ))}
                <Table.Th ta="center">{t("policy.own")}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {fields.map((f) => (
                <Table.Tr key={f}>
                  <Table.Th scope="row" fw={400}>
                    {t(`field.${f}`)}
                  </Table.Th>
                  {levels.map((l) => (
                    <Table.Td key={l}>
                      <Radio
                        name={`visibility-${f}`} aria-label={t("policy.choice", { field: t(`field.${f}`), level: t(`level.${l}`) })} checked={value.visibility[f] === l}
                        onChange={() => level(f, l)} styles={{ body: { justifyContent: "center" } }}
                      />
                    </Table.Td>
                  ))}
                  <Table.Td>
                    {isPersonal(f) && (
                      <Checkbox
                        aria-label={t("policy.ownOne", { field: t(`field.${f}`) })} checked={value.personal.includes(f)} onChange={(e) => own(f, e.currentTarget.checked)}
                        styles={{ body: { justifyContent: "center" } }}
                      />
                    )}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        ) : (
          <Stack gap="sm">
            {fields.map((f) => (
              <div key={f}>
                <Select
                  label={t(`field.${f}`)} allowDeselect={false} data={levels.map((l) => ({ value: l, label: t(`level.${l}`) }))} value={value.visibility[f]}
                  onChange={(next) => next && level(f, next as Level)}
                />
                {isPersonal(f) && (
                  <Checkbox mt={6} label={t("policy.ownOne", { field: t(`field.${f}`) })} checked={value.personal.includes(f)} onChange={(e) => own(f, e.currentTarget.checked)} />
                )}
              </div>
            ))}
          </Stack>
        )}
      </section>
      <section className={classes.part} aria-label={t("policy.signIn")}>
        <Title order={2} mb="sm">
          {t("policy.signIn")}
        </Title>
        <Stack gap="md" mb="lg">
          <Radio.Group
            label={t("policy.second")} description={t("policy.secondHint")} value={value.sign_in.second_factor}
            onChange={(next) => set({ sign_in: { ...value.sign_in, second_factor: next as typeof value.sign_in.second_factor } })}
          >
            <Stack gap={6} mt={6}>
              <Radio value="administrators" label={t("policy.secondFor.administrators")} />
              <Radio value="everybody" label={t("policy.secondFor.everybody")} />
            </Stack>
          </Radio.Group>
          <Switch
            label={t("policy.apps")} description={t("policy.appsHint")} checked={value.sign_in.app_passwords}
            onChange={(e) => set({ sign_in: { ...value.sign_in, app_passwords: e.currentTarget.checked } })}
          />
        </Stack>
      </section>
      <SaveBar changed={edits.changed} busy={save.isPending} onReset={edits.clear} />
    </form>
  );
}

function isPersonal(field: Field): field is Personal {
  return (personal as readonly Field[]).includes(field);
}
