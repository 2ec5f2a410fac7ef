import { Avatar, Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { IconPhoto, IconTrash } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { sessionQuery, useSession } from "../../../api/session";
import { PersonMark } from "../../../ui/PersonLine";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import { accountQuery, removePhoto, setPhoto, useUpdateAccount, type Account } from "../api";
import { AskFirst } from "./AskFirst";
import { PhotoDialog } from "./PhotoDialog";
import { Problem } from "./Problem";
import classes from "./Profile.module.css";
import { Row, Rows, Section } from "./Section";
import { Visibility } from "./Visibility";

/** What the directory says of oneself: some of it one's own to change, the rest the agency's. */
export function Profile() {
  const { t } = useTranslation("account");
  const { data, error, refetch } = useQuery(accountQuery);
  if (error) return <ErrorState code={codeOf(error)} title={t("load_failed")} onRetry={() => void refetch()} />;
  if (!data) return <ListSkeleton rows={5} />;
  return (
    <>
      <Who account={data} />
      <Contact account={data} />
      <Visibility />
    </>
  );
}

function Who({ account }: { account: Account }) {
  const { t } = useTranslation("account");
  const { positions } = useSession();
  const client = useQueryClient();
  const [choosing, setChoosing] = useState(false);
  const [removing, setRemoving] = useState(false);
  const icon = { size: 16, stroke: 1.5, "aria-hidden": true } as const;
  const fresh = () => Promise.all([accountQuery, sessionQuery].map(({ queryKey }) => client.invalidateQueries({ queryKey }))); // the header shows it too
  return (
    <Section title={t("profile.who")} description={t("profile.who_lead")}>
      <div className={classes.who}>
        <Stack gap="xs" align="center" className={classes.photo}>
          {account.photo ? <Avatar src={account.photo} alt={t("photo.of", { name: account.person.name })} size={112} radius={112} /> : <PersonMark name={account.person.name} size={112} />}
          <Group gap={4} justify="center">
            <Button variant="default" size="xs" leftSection={<IconPhoto {...icon} />} onClick={() => setChoosing(true)}>
              {account.photo ? t("photo.change") : t("photo.add")}
            </Button>
            {account.photo && (
              <Button variant="default" size="xs" leftSection={<IconTrash {...icon} />} onClick={() => setRemoving(true)}>
                {t("photo.remove")}
              </Button>
            )}
          </Group>
        </Stack>
        <div className={classes.facts}>
          <Text fw={600} size="lg">
            {account.person.name}
          </Text>
          <Text c="dimmed">{account.login}</Text>
          <Rows label={t("profile.positions")}>
            {positions.map((p) => (
              <Row key={p.id} title={[p.title, p.unit].filter(Boolean).join(", ")}>
                {[p.agency_name, t(`profile.kind.${p.kind}`), p.delegated_by && t("profile.lent_by", { name: p.delegated_by })].filter(Boolean).join(" · ")}
              </Row>
            ))}
          </Rows>
        </div>
      </div>
      {choosing && (
        <PhotoDialog
          save={async (picture) => {
            await setPhoto(picture);
            await fresh();
          }}
          onClose={() => setChoosing(false)}
        />
      )}
      {removing && (
        <AskFirst
          title={t("photo.remove_ask")}
          text={t("photo.remove_lost")}
          action={t("photo.remove")}
          failed={t("photo.failed")}
          run={async () => {
            await removePhoto();
            await fresh();
          }}
          onClose={() => setRemoving(false)}
        />
      )}
    </Section>
  );
}

const fields = ["phone", "mobile", "office"] as const;

function Contact({ account }: { account: Account }) {
  const { t } = useTranslation("account");
  const [typed, setTyped] = useState({ phone: account.phone, mobile: account.mobile, office: account.office });
  const update = useUpdateAccount();
  const changed = fields.some((f) => typed[f].trim() !== account[f]);
  return (
    <Section title={t("profile.contact")} description={t("profile.contact_lead")}>
      <form
        noValidate
        onSubmit={(e) => {
          e.preventDefault();
          if (!update.isPending) update.mutate(typed, { onSuccess: (a) => setTyped({ phone: a.phone, mobile: a.mobile, office: a.office }) });
        }}
      >
        <Stack gap="sm" maw={440}>
          <Problem error={update.error} title={t("profile.failed")} words={{ invalid: t("profile.invalid") }} />
          {fields.map((f) => (
            <TextInput
              key={f}
              label={t(`profile.${f}`)}
              type={f === "office" ? "text" : "tel"}
              autoComplete={f === "mobile" ? "tel" : "off"}
              maxLength={f === "office" ? 200 : 40}
              value={typed[f]}
              onChange={(e) => {
                setTyped({ ...typed, [f]: e.currentTarget.value });
                update.reset();
              }}
            />
          ))}
          <Group gap="sm">
            <Button type="submit" disabled={!changed} loading={update.isPending}>
              {t("save")}
            </Button>
            <Text role="status" c="dimmed">
              {update.isSuccess && !changed ? t("saved") : ""}
            </Text>
          </Group>
        </Stack>
      </form>
    </Section>
  );
}
