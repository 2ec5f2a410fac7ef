import { Badge, Group, Stack, Text, Textarea, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import type { Agency, Unit } from "../../../api/directory";
import { codeOf } from "../../../api/error";
import { useSession } from "../../../api/session";
import { photoOf } from "../../../lib/photo";
import { PersonMark } from "../../../ui/PersonLine";
import { ErrorState } from "../../../ui/States";
import { toast } from "../../../ui/toast";
import { useAct } from "../api";
import { lines, useEdits } from "../edits";
import { cardQuery, changePerson, personRecordQuery, type PersonRecord } from "../people";
import { holds } from "../scope";
import { AccountPart } from "./AccountPart";
import { PanelSkeleton } from "./AdminPage";
import { Problem } from "./Dialogs";
import { PositionsPart } from "./PositionsPart";
import { SaveBar } from "./SaveBar";
import { VisibilityPart } from "./VisibilityPart";
import classes from "./Admin.module.css";

/** One person: what is kept about them, their positions, their account. */
export function PersonPanel({ id, agency, units }: { id: string; agency: Agency; units: Unit[] }) {
  const { t } = useTranslation("admin");
  const { grants } = useSession();
  const { data: record, error, refetch } = useQuery(personRecordQuery(id));
  const { data: card } = useQuery({ ...cardQuery(id), retry: false });
  if (error && !record) {
    return codeOf(error) === "forbidden" ? (
      <ErrorState compact code="forbidden" title={t("people.outside")} text={t("people.outsideHint")} />
    ) : (
      <ErrorState compact code={codeOf(error)} title={t("people.loadFailed")} onRetry={() => void refetch()} />
    );
  }
  if (!record) return <PanelSkeleton />;
  const may = holds(grants, ["system_admin", "agency_admin"], agency.id);
  return (
    <article aria-label={record.name}>
      <Group gap="md" wrap="nowrap" mb="md">
        <PersonMark name={record.name} photo={card && photoOf(card)} size={56} />
        <div style={{ minWidth: 0 }}>
          <Group gap="xs">
            <Title order={2}>{record.name}</Title>
            {record.disabled && (
              <Badge variant="default" size="sm">
                {t("account.state.disabled")}
              </Badge>
            )}
          </Group>
          <Text c="dimmed" style={{ overflowWrap: "anywhere" }}>
            {record.address || t("people.noAddress")}
          </Text>
        </div>
      </Group>
      <PositionsPart person={record} agency={agency} units={units} may={may} />
      <AccountPart person={record} agency={agency} />
      <section className={classes.part} aria-label={t("people.facts")}>
        <Title order={3} mb="sm">
          {t("people.facts")}
        </Title>
        <FactsForm key={record.id} record={record} may={may} />
      </section>
      <VisibilityPart key={`visibility.${id}`} person={record} />
    </article>
  );
}

function FactsForm({ record, may }: { record: PersonRecord; may: boolean }) {
  const { t } = useTranslation("admin");
  const edits = useEdits(`person.${record.id}`, {
    family_name: record.family_name, middle_name: record.middle_name, given_name: record.given_name, address: record.address, aliases: record.aliases.join("\n"),
    phone: record.phone, mobile: record.mobile, office: record.office, external_key: record.external_key,
  });
  const save = useAct(changePerson);
  const { value, set } = edits;
  const submit = () => {
    const { aliases, ...rest } = edits.patch;
    save.mutate(
      { id: record.id, version: record.version, ...rest, ...(aliases !== undefined && { aliases: lines(aliases) }) },
      {
        onSuccess: () => {
          edits.clear();
          toast.show({ message: t("saved") });
        },
      },
    );
  };
  const field = (name: "family_name" | "middle_name" | "given_name" | "address" | "phone" | "mobile" | "office" | "external_key", label: string, more: object = {}) => (
    <TextInput label={label} readOnly={!may} maxLength={320} value={value[name]} onChange={(e) => set({ [name]: e.currentTarget.value })} {...more} />
  );
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        if (edits.changed && value.given_name.trim()) submit();
      }}
    >
      <Stack gap="md">
        <Problem error={save.error} title={t("saveFailed")} />
        <div className={`${classes.fields} ${classes.three}`}>
          {field("family_name", t("people.family"))}
          {field("middle_name", t("people.middle"))}
          {field("given_name", t("people.given"), { required: true })}
        </div>
        <div className={`${classes.fields} ${classes.three}`}>
          {field("phone", t("people.phone"), { type: "tel" })}
          {field("mobile", t("people.mobile"), { type: "tel" })}
          {field("office", t("people.office"))}
        </div>
        <div className={classes.fields}>
          {field("address", t("people.address"), { type: "email" })}
          <Textarea
            label={t("people.aliases")} description={t("people.aliasesHint")} autosize minRows={1} readOnly={!may} value={value.aliases}
            onChange={(e) => set({ aliases: e.currentTarget.value })}
          />
          {field("external_key", t("people.key"), { description: t("people.keyHint") })}
        </div>
        {may && <SaveBar changed={edits.changed} busy={save.isPending} onReset={edits.clear} />}
      </Stack>
    </form>
  );
}
