import { Button, Checkbox, Code, CopyButton, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { IconAppWindow, IconCheck, IconCopy, IconPlus } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Fragment, useState } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { formatDate, formatWhen } from "../../../lib/dates";
import { useLang } from "../../../lib/i18n";
import { useSession } from "../../../api/session";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import { appPasswordsQuery, endAppPassword, makeAppPassword, programsQuery, type AppPassword, type AppScope } from "../api";
import classes from "./AppPasswords.module.css";
import { AskFirst } from "./AskFirst";
import { Problem } from "./Problem";
import { Row, Rows, Section } from "./Section";

// Those that this version serves; xmpp and carddav have their place in the API alone.
const offered: readonly AppScope[] = ["imap", "smtp", "ldap"];

/** Passwords of single programs, made by the server, ended one by one. */
export function AppPasswords() {
  const { t } = useTranslation("account");
  const lang = useLang();
  const client = useQueryClient();
  const { data, error, refetch } = useQuery(appPasswordsQuery);
  const [making, setMaking] = useState(false);
  const [ending, setEnding] = useState<AppPassword | null>(null);
  if (error) return <ErrorState code={codeOf(error)} title={t("apps.load_failed")} onRetry={() => void refetch()} />;
  const fresh = () => client.invalidateQueries({ queryKey: appPasswordsQuery.queryKey });
  return (
    <Section
      title={t("apps.title")}
      description={t("apps.lead")}
      action={
        data && (
          <Button size="sm" variant="default" leftSection={<IconPlus size={16} stroke={1.5} aria-hidden />} onClick={() => setMaking(true)}>
            {t("apps.make")}
          </Button>
        )
      }
    >
      {!data ? (
        <ListSkeleton rows={2} />
      ) : data.length === 0 ? (
        <Text c="dimmed">{t("apps.none")}</Text>
      ) : (
        <Rows label={t("apps.title")}>
          {data.map((a) => (
            <Row
              key={a.id}
              icon={<IconAppWindow size={20} stroke={1.5} />}
              title={a.name}
              actions={
                <Button variant="default" size="xs" aria-label={t("apps.end_of", { name: a.name })} onClick={() => setEnding(a)}>
                  {t("apps.end")}
                </Button>
              }
            >
              {[
                a.scopes.map((s) => t(`apps.scope.${s}`)).join(", "),
                t("added", { date: formatDate(a.created_at) }),
                a.last_used_at ? t("used", { when: formatWhen(a.last_used_at, lang) }) : t("used_never"),
              ].join(" · ")}
            </Row>
          ))}
        </Rows>
      )}
      {making && (
        <MakeDialog
          onClose={() => {
            setMaking(false);
            void fresh();
          }}
        />
      )}
      {ending && (
        <AskFirst
          title={t("apps.end_ask", { name: ending.name })}
          text={t("apps.end_lost")}
          action={t("apps.end")}
          failed={t("apps.end_failed")}
          run={async () => {
            await endAppPassword(ending.id);
            await fresh();
          }}
          onClose={() => setEnding(null)}
        />
      )}
    </Section>
  );
}

function MakeDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation("account");
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<AppScope[]>(["imap", "smtp"]);
  const [tried, setTried] = useState(false);
  const make = useMutation({ meta: { inline: true }, mutationFn: () => makeAppPassword(name.trim(), scopes) });
  if (make.data) {
    return (
      <Modal opened onClose={() => {}} withCloseButton={false} closeOnEscape={false} closeOnClickOutside={false} title={t("apps.made", { name: make.data.app_password.name })} size="lg">
        <Made password={make.data.password} scopes={make.data.app_password.scopes} onClose={onClose} />
      </Modal>
    );
  }
  return (
    <Modal opened onClose={onClose} title={t("apps.make")} closeButtonProps={{ "aria-label": t("close") }}>
      <form
        noValidate
        onSubmit={(e) => {
          e.preventDefault();
          setTried(true);
          if (name.trim() && scopes.length > 0 && !make.isPending) make.mutate();
        }}
      >
        <Stack gap="md">
          <Text>{t("apps.make_lead")}</Text>
          <Problem error={make.error} title={t("apps.make_failed")} words={{ conflict: t("apps.full") }} />
          <TextInput
            label={t("apps.name")}
            placeholder={t("apps.name_example")}
            value={name}
            maxLength={100}
            data-autofocus
            error={tried && !name.trim() ? t("name_missing") : undefined}
            onChange={(e) => setName(e.currentTarget.value)}
          />
          <Checkbox.Group
            label={t("apps.scopes")}
            value={scopes}
            error={tried && scopes.length === 0 ? t("apps.scopes_missing") : undefined}
            onChange={(v) => setScopes(offered.filter((s) => v.includes(s)))}
          >
            <Stack gap="xs" mt={4}>
              {offered.map((s) => (
                <Checkbox key={s} value={s} label={t(`apps.scope.${s}`)} />
              ))}
            </Stack>
          </Checkbox.Group>
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {t("cancel")}
            </Button>
            <Button type="submit" loading={make.isPending}>
              {t("apps.make")}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

/** The new password, this once, beside all else that the program asks for. */
function Made({ password, scopes, onClose }: { password: string; scopes: string[]; onClose: () => void }) {
  const { t } = useTranslation("account");
  const { person } = useSession();
  const { data: programs } = useQuery(programsQuery);
  const icon = { size: 16, stroke: 1.5, "aria-hidden": true } as const;
  return (
    <Stack gap="md">
      <Text>{t("apps.made_lead")}</Text>
      <Group gap="sm">
        <Code className={classes.password} aria-label={t("apps.password")}>
          {password}
        </Code>
        <CopyButton value={password}>
          {({ copied, copy }) => (
            <Button variant="default" size="sm" leftSection={copied ? <IconCheck {...icon} /> : <IconCopy {...icon} />} onClick={copy} data-autofocus>
              {copied ? t("copied") : t("copy")}
            </Button>
          )}
        </CopyButton>
      </Group>
      <table className={classes.settings}>
        <caption>{t("apps.settings")}</caption>
        <tbody>
          <tr>
            <th scope="row">{t("apps.user")}</th>
            <td>{person.address}</td>
          </tr>
          {programs
            ?.filter((p) => scopes.includes(p.protocol))
            .map((p) => (
              <Fragment key={p.protocol}>
                <tr>
                  <th scope="row">{t(`apps.server.${p.protocol}`)}</th>
                  <td>
                    {p.host}, {t("apps.port", { port: p.port })}, {t(`apps.security.${p.security}`)}
                  </td>
                </tr>
                {p.base && (
                  <tr>
                    <th scope="row">{t("apps.base")}</th>
                    <td>{p.base}</td>
                  </tr>
                )}
              </Fragment>
            ))}
        </tbody>
      </table>
      <Group justify="flex-end">
        <Button onClick={onClose}>{t("done")}</Button>
      </Group>
    </Stack>
  );
}
