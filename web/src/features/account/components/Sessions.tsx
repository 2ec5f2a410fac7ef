import { Button } from "@mantine/core";
import { IconDeviceDesktop, IconDeviceMobile, IconDeviceTablet, IconTerminal2 } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { formatDateTime, formatWhen } from "../../../lib/dates";
import { useLang } from "../../../lib/i18n";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import { endOtherSessions, endSession, sessionsQuery, type SessionEntry } from "../api";
import { deviceOf, type Device } from "../device";
import { AskFirst } from "./AskFirst";
import { Mark, Row, Rows, Section } from "./Section";

const icons = { phone: IconDeviceMobile, tablet: IconDeviceTablet, computer: IconDeviceDesktop, program: IconTerminal2 } as const;

/** Where one is signed in, and an end to what one does not know. */
export function Sessions() {
  const { t } = useTranslation("account");
  const lang = useLang();
  const client = useQueryClient();
  const { data, error, refetch } = useQuery(sessionsQuery);
  const [ending, setEnding] = useState<SessionEntry | "others" | null>(null);
  const called = ({ browser, system }: Device) =>
    browser && system ? t("sessions.device", { browser, system }) : browser || system || t("sessions.unknown");
  const nameOf = (s: SessionEntry) => called(deviceOf(s.user_agent));
  if (error) return <ErrorState code={codeOf(error)} title={t("sessions.load_failed")} onRetry={() => void refetch()} />;
  // This one first: the others are told apart from it.
  const list = data && [...data].sort((a, b) => Number(b.current) - Number(a.current));
  const others = list?.some((s) => !s.current);
  return (
    <Section
      title={t("sessions.title")}
      description={t("sessions.lead")}
      action={
        others && (
          <Button size="sm" variant="default" onClick={() => setEnding("others")}>
            {t("sessions.end_others")}
          </Button>
        )
      }
    >
      {!list ? (
        <ListSkeleton rows={3} />
      ) : (
        <Rows label={t("sessions.title")}>
          {list.map((s) => {
            const device = deviceOf(s.user_agent);
            const Icon = icons[device.kind];
            return (
              <Row
                key={s.id}
                icon={<Icon size={20} stroke={1.5} />}
                title={called(device)}
                mark={
                  <>
                    {s.current && <Mark good>{t("sessions.this")}</Mark>} {s.locked && <Mark>{t("sessions.locked")}</Mark>}
                  </>
                }
                actions={
                  !s.current && (
                    <Button variant="default" size="xs" aria-label={t("sessions.end_of", { device: called(device), address: s.address })} onClick={() => setEnding(s)}>
                      {t("sessions.end")}
                    </Button>
                  )
                }
              >
                <div>{[t("sessions.from", { address: s.address }), t("sessions.seen", { when: formatWhen(s.last_seen_at, lang) })].join(" · ")}</div>
                <div className="tabular">{t("sessions.since", { at: formatDateTime(s.created_at), method: s.method.map((m) => methodName(m)).join(", ") })}</div>
              </Row>
            );
          })}
        </Rows>
      )}
      {ending && (
        <AskFirst
          title={ending === "others" ? t("sessions.end_others_ask") : t("sessions.end_ask", { device: nameOf(ending) })}
          text={t("sessions.end_lost")}
          action={ending === "others" ? t("sessions.end_others") : t("sessions.end")}
          failed={t("sessions.end_failed")}
          run={async () => {
            // Gone already is what was wanted.
            if (ending === "others") await endOtherSessions();
            else await endSession(ending.id).catch((err: unknown) => codeOf(err) !== "not_found" && Promise.reject(err as Error));
            await client.invalidateQueries({ queryKey: sessionsQuery.queryKey });
          }}
          onClose={() => setEnding(null)}
        />
      )}
    </Section>
  );

  function methodName(method: string): string {
    const known = ["password", "totp", "passkey", "recovery_code", "code", "oidc", "new_password", "enrolled"];
    return t(`sessions.method.${known.includes(method) ? method : "other"}`);
  }
}
