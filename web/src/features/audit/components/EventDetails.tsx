import { Button, Drawer, Group, Skeleton, Text, Title } from "@mantine/core";
import { IconAlertTriangle, IconClock, IconShieldCheck, type Icon } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { paths } from "../../../lib/paths";
import { ErrorState } from "../../../ui/States";
import { eventQuery, type AuditEvent, type Proof } from "../api";
import type { Question } from "../question";
import { actionWords, detailWords, formatSecond, namesOf, objectWords, whoWords, type Names } from "../words";
import { Outcome } from "./Outcome";
import classes from "./AuditPage.module.css";

interface Props {
  id: string;
  onClose: () => void;
  onAsk: (part: Question) => void;
}

/** One event, whole, with the proof that it stands in the log as it was recorded. */
export function EventDetails({ id, onClose, onAsk }: Props) {
  const { t } = useTranslation("audit");
  const { data, error, refetch } = useQuery({ ...eventQuery(id), enabled: !!id });
  return (
    <Drawer
      opened={!!id} onClose={onClose} position="right" size={460} title={t("event.label")} closeButtonProps={{ "aria-label": t("event.close") }}
      attributes={{ header: { role: "none" } }} transitionProps={{ duration: 150 }}
    >
      {error && !data ? (
        <ErrorState compact code={codeOf(error)} title={t("event.failed")} onRetry={() => void refetch()} />
      ) : data ? (
        <Details event={data.event} proof={data.proof} names={namesOf([data])} onAsk={onAsk} />
      ) : (
        <Skeleton height={240} />
      )}
    </Drawer>
  );
}

function Details({ event, proof, names, onAsk }: { event: AuditEvent; proof: Proof; names: Names; onAsk: (part: Question) => void }) {
  const { t } = useTranslation("audit");
  const person = names.person(event.person_id);
  const object = objectWords(t, event, names);
  const detail = Object.entries(event.detail ?? {}).map(([key, value]) => detailWords(t, key, value, names));
  return (
    <div className={classes.details}>
      <Group justify="space-between" align="baseline" gap="xs">
        <Title order={2}>{actionWords(t, event.action)}</Title>
        <Outcome outcome={event.outcome} />
      </Group>
      <dl className={classes.facts}>
        <Fact name={t("event.at")}>
          <time className="tabular" dateTime={event.at}>
            {formatSecond(event.at)}
          </time>
        </Fact>
        <Fact name={t("event.who")}>
          {person ? (
            <>
              <Link {...paths.person(person.id)} className={classes.link}>
                {person.name}
              </Link>
              {person.title && <span className={classes.dim}>{person.title}</span>}
            </>
          ) : (
            whoWords(t, event, names)
          )}
        </Fact>
        {event.agency_id && <Fact name={t("event.agency")}>{names.agency(event.agency_id) || event.agency_id}</Fact>}
        {event.owner_id && <Fact name={t("event.owner")}>{names.agency(event.owner_id) || event.owner_id}</Fact>}
        {object && <Fact name={t("event.object")}>{object}</Fact>}
        {event.address && (
          <Fact name={t("event.address")}>
            <span className="tabular">{event.address}</span>
          </Fact>
        )}
        {detail.length > 0 && (
          <Fact name={t("event.detail")}>
            {detail.map((d) => (
              <span key={d.key}>
                {d.key}: {d.value}
              </span>
            ))}
          </Fact>
        )}
        <Fact name={t("event.id")}>
          <span className={classes.mono}>{event.id}</span>
        </Fact>
      </dl>
      {event.erased && <Text c="dimmed">{t("event.erased")}</Text>}
      <Group gap="xs">
        {event.person_id && (
          <Button variant="default" size="xs" onClick={() => onAsk({ person: event.person_id })}>
            {t("event.byPerson")}
          </Button>
        )}
        {event.object_kind && event.object_id && (
          <Button variant="default" size="xs" onClick={() => onAsk({ kind: event.object_kind, object: event.object_id })}>
            {t("event.byObject")}
          </Button>
        )}
        {event.address && (
          <Button variant="default" size="xs" onClick={() => onAsk({ address: event.address })}>
            {t("event.byAddress")}
          </Button>
        )}
      </Group>
      <ProofState proof={proof} seq={event.seq} />
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

const looks: Record<Proof["state"], { icon: Icon; colour: string }> = {
  waiting: { icon: IconClock, colour: "var(--mantine-color-dimmed)" },
  appended: { icon: IconClock, colour: "var(--mantine-color-dimmed)" },
  signed: { icon: IconShieldCheck, colour: "var(--commsd-ok)" },
  broken: { icon: IconAlertTriangle, colour: "var(--commsd-bad)" },
};

function ProofState({ proof, seq }: { proof: Proof; seq?: number }) {
  const { t, i18n } = useTranslation("audit");
  const { icon: StateIcon, colour } = looks[proof.state];
  const number = (n: number) => n.toLocaleString(i18n.language);
  // i18n: proof.waitingText, proof.appendedText, proof.signedText, proof.brokenText
  return (
    <section className={classes.proof} aria-labelledby="audit-proof">
      <Title order={3} id="audit-proof">
        {t("proof.title")}
      </Title>
      <p className={classes.verdict} style={{ color: colour }}>
        <StateIcon size={20} stroke={1.5} aria-hidden />
        <strong>{t(`proof.${proof.state}`)}</strong>
      </p>
      <Text>{t(`proof.${proof.state}Text`, { seq: number(seq ?? 0), size: number(proof.size) })}</Text>
      <dl className={classes.facts}>
        <Fact name={t("proof.leaf")}>
          <span className={classes.mono}>{proof.leaf}</span>
          {proof.hashes.length > 0 && <span className={classes.dim}>{t("proof.hashes", { count: proof.hashes.length })}</span>}
        </Fact>
      </dl>
    </section>
  );
}
