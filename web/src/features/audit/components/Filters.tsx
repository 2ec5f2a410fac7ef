import { Button, NativeSelect, Pill, Select, TextInput, type ComboboxItem, type OptionsFilter } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data } from "../../../api/client";
import { formatDate } from "../../../lib/dates";
import { matches } from "../../../lib/fold";
import { isAsked, type Question } from "../question";
import { actionsOf, actionWords, kindWords } from "../words";
import classes from "./AuditPage.module.css";

/** Options whose words begin with what is typed, marks or not. */
const folded: OptionsFilter = ({ options, search, limit }) => (options as ComboboxItem[]).filter((o) => !search.trim() || matches(search, o.label)).slice(0, limit);

interface Props {
  question: Question;
  onAsk: (question: Question) => void;
}

/** What of the log is shown. Person and object are chosen from an event and stand here to be removed. */
export function Filters({ question, onAsk }: Props) {
  const { t, i18n } = useTranslation("audit");
  const { data: agencies = [] } = useQuery({
    queryKey: ["audit", "agencies"],
    queryFn: async () => (await data(api.GET("/api/v1/directory/agencies"))).agencies,
    staleTime: 5 * 60_000,
  });
  const { data: person } = useQuery({
    queryKey: ["audit", "person", question.person],
    queryFn: () => data(api.GET("/api/v1/directory/people/{id}", { params: { path: { id: question.person ?? "" } } })),
    enabled: !!question.person,
    retry: false,
    staleTime: 5 * 60_000,
  });
  const actions = actionsOf(i18n.getResource(i18n.resolvedLanguage ?? i18n.language, "audit", "action"))
    .map((action) => ({ value: action, label: actionWords(t, action) }))
    .sort((a, b) => a.label.localeCompare(b.label, i18n.language));
  const set = (part: Question) => onAsk({ ...question, ...part });

  const [address, setAddress] = useState(question.address ?? "");
  const asked = useRef(question.address ?? "");
  useEffect(() => {
    if ((question.address ?? "") !== asked.current) {
      asked.current = question.address ?? "";
      setAddress(asked.current);
    }
  }, [question.address]);
  const search = useDebouncedCallback((typed: string) => {
    asked.current = typed;
    set({ address: typed });
  }, 400);

  const chosen = [
    question.person && { key: "person", label: t("filters.person", { name: person?.name ?? question.person }), without: { person: "" } },
    question.kind && { key: "object", label: t("filters.object", { name: `${kindWords(t, question.kind)} ${question.object ?? ""}` }), without: { kind: "", object: "" } },
  ].filter((c) => !!c);

  // The field itself follows the browser's language, in which 11/12 could be either.
  const said = (day: string | undefined) => day && formatDate(`${day}T12:00:00+07:00`);

  return (
    <form className={classes.filters} aria-label={t("filters.label")} onSubmit={(e) => e.preventDefault()}>
      <TextInput type="date" label={t("filters.from")} description={said(question.from)} value={question.from ?? ""} max={question.until} onChange={(e) => set({ from: e.currentTarget.value })} />
      <TextInput type="date" label={t("filters.until")} description={said(question.until)} value={question.until ?? ""} min={question.from} onChange={(e) => set({ until: e.currentTarget.value })} />
      <Select
        label={t("filters.action")} placeholder={t("filters.anyAction")} data={actions} filter={folded} value={question.action ?? null} searchable clearable
        onChange={(action) => set({ action: action ?? "" })} nothingFoundMessage={t("list.empty")} className={classes.wide}
        clearButtonProps={{ "aria-label": t("filters.remove", { what: t("filters.action") }) }}
      />
      <NativeSelect
        label={t("filters.outcome")} value={question.outcome ?? ""} onChange={(e) => set({ outcome: e.currentTarget.value })}
        data={[{ value: "", label: t("filters.anyOutcome") }, ...(["ok", "denied", "failed"] as const).map((o) => ({ value: o, label: t(`outcome.${o}`) }))]}
      />
      <Select
        label={t("filters.agency")} placeholder={t("filters.anyAgency")} data={agencies.map((a) => ({ value: a.id, label: a.short_name || a.name }))} filter={folded} limit={100}
        value={question.agency ?? null} searchable clearable onChange={(agency) => set({ agency: agency ?? "" })} nothingFoundMessage={t("list.empty")} className={classes.wide}
        clearButtonProps={{ "aria-label": t("filters.remove", { what: t("filters.agency") }) }}
      />
      <TextInput
        label={t("filters.address")} value={address} inputMode="text" autoComplete="off" spellCheck={false}
        onChange={(e) => {
          setAddress(e.currentTarget.value);
          search(e.currentTarget.value.trim());
        }}
      />
      {(chosen.length > 0 || isAsked(question)) && (
        <div className={classes.chosen}>
          {chosen.map((c) => (
            <Pill key={c.key} withRemoveButton onRemove={() => set(c.without)} removeButtonProps={{ "aria-label": t("filters.remove", { what: c.label }), "aria-hidden": false, tabIndex: 0 }}>
              {c.label}
            </Pill>
          ))}
          <Button variant="subtle" size="compact-sm" onClick={() => onAsk({})}>
            {t("filters.clear")}
          </Button>
        </div>
      )}
    </form>
  );
}
