import { Button } from "@mantine/core";
import { IconPlus, IconUserShare } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { useSession } from "../../../api/session";
import { formatDateTime } from "../../../lib/dates";
import { shortAgency } from "../../../lib/names";
import { EmptyState, ErrorState, ListSkeleton } from "../../../ui/States";
import { delegationsQuery, useEndDelegation, type Delegation } from "../api";
import { AskFirst } from "./AskFirst";
import { LendDialog } from "./LendDialog";
import { Mark, Row, Rows, Section } from "./Section";

/** The positions one has lent to colleagues, and those lent to oneself. */
export function Delegations() {
  const { t } = useTranslation("account");
  const { positions } = useSession();
  const { data, error, refetch } = useQuery(delegationsQuery);
  const [lending, setLending] = useState(false);
  const own = positions.filter((p) => !p.delegated_by);
  if (error) return <ErrorState code={codeOf(error)} title={t("delegation.load_failed")} onRetry={() => void refetch()} />;
  return (
    <>
      <Section
        title={t("delegation.given")}
        description={t("delegation.given_lead")}
        action={
          own.length > 0 && (
            <Button size="sm" leftSection={<IconPlus size={16} stroke={1.5} aria-hidden />} onClick={() => setLending(true)}>
              {t("delegation.lend")}
            </Button>
          )
        }
      >
        <Lines list={data?.given} label={t("delegation.given")} given />
      </Section>
      <Section title={t("delegation.received")} description={t("delegation.received_lead")}>
        <Lines list={data?.received} label={t("delegation.received")} />
      </Section>
      {lending && <LendDialog positions={own} onClose={() => setLending(false)} />}
    </>
  );
}

function Lines({ list, label, given = false }: { list: Delegation[] | undefined; label: string; given?: boolean }) {
  const { t } = useTranslation("account");
  const end = useEndDelegation();
  const [asked, setAsked] = useState<Delegation | null>(null);
  if (!list) return <ListSkeleton rows={2} />;
  if (list.length === 0) return <EmptyState compact title={given ? t("delegation.given_none") : t("delegation.received_none")} />;
  const words = given ? "end_given" : "end_received";
  return (
    <>
      <Rows label={label}>
        {list.map((d) => (
          <Row
            key={d.id}
            icon={<IconUserShare size={20} stroke={1.5} />}
            title={given ? d.to.name : d.from.name}
            mark={<Mark good={d.state === "active"}>{t(`delegation.state.${d.state}`)}</Mark>}
            actions={
              d.state !== "ended" && (
                <Button variant="default" size="xs" aria-label={t(`delegation.${words}_of`, { name: given ? d.to.name : d.from.name })} onClick={() => setAsked(d)}>
                  {t(`delegation.${words}`)}
                </Button>
              )
            }
          >
            <div>{[[d.position.title, d.position.unit].filter(Boolean).join(", "), shortAgency(d.position.agency_name)].filter(Boolean).join(" · ")}</div>
            <div className="tabular">{t("delegation.period", { from: formatDateTime(d.starts_at), to: formatDateTime(d.ends_at) })}</div>
            <div>{t("delegation.for", { scopes: d.scopes.map((s) => t(`delegation.scope.${s}`)).join(", ") })}</div>
          </Row>
        ))}
      </Rows>
      {asked && (
        <AskFirst
          title={t(`delegation.${words}_ask`, { name: given ? asked.to.name : asked.from.name })}
          text={t(`delegation.${words}_lost`)}
          action={t(`delegation.${words}`)}
          failed={t("delegation.end_failed")}
          run={() => end.mutateAsync(asked.id)}
          onClose={() => setAsked(null)}
        />
      )}
    </>
  );
}
