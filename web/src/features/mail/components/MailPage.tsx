import { Anchor, Button, Grid, Group, NavLink, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { formatDateTime } from "../../../lib/dates";
import { paths } from "../../../lib/paths";
import { Page } from "../../../ui/Page";
import { PageHeader } from "../../../ui/PageHeader";
import { EmptyState, ErrorState, ListSkeleton } from "../../../ui/States";
import { heldQuery, mailboxesQuery, messagesQuery } from "../api";
import { Reading } from "./Reading";

/** Mailboxes, the list of one, and the message being read. */
export function MailPage() {
  const { t } = useTranslation("mail");
  const navigate = useNavigate();
  const params = useParams({ strict: false });
  const boxes = useQuery(mailboxesQuery);
  const held = useQuery(heldQuery);
  const box = boxes.data?.find((b) => b.id === params.mailbox) ?? boxes.data?.[0];
  const list = useQuery(messagesQuery(box?.id ?? ""));
  const open = (to: { to: string }) => void navigate(to);
  // i18n: role.inbox, role.sent, role.drafts, role.trash, role.junk, role.archive
  const nameOf = (role: string, name: string) => (role ? t(`role.${role}`) : name);
  return (
    <Page>
      <PageHeader title={t("title")} actions={<Button onClick={() => open(paths.compose())}>{t("compose")}</Button>} />
      <Grid>
        <Grid.Col span={{ base: 12, md: 2 }}>
          {boxes.data?.map((b) => (
            <NavLink key={b.id} component="button" active={b.id === box?.id} label={nameOf(b.role, b.name)} description={b.unread ? t("unread", { n: b.unread }) : undefined} onClick={() => open(paths.mailbox(b.id))} />
          ))}
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: params.message ? 4 : 10 }}>
          {list.isError || boxes.isError ? <ErrorState onRetry={() => void list.refetch()} /> : null}
          {list.isPending && !list.isError ? <ListSkeleton /> : null}
          {list.data?.length === 0 ? <EmptyState title={t("empty")} /> : null}
          {list.data?.map((m) => (
            <NavLink
              key={m.id}
              component="button"
              active={m.id === params.message}
              label={<Text fw={m.seen ? 400 : 700}>{m.subject || t("noSubject")}</Text>}
              description={`${m.from?.[0]?.name || m.from?.[0]?.address || t("noSender")} · ${formatDateTime(m.received_at)}`}
              onClick={() => open(paths.message(m.mailbox, m.id))}
            />
          ))}
          {held.data?.length && box?.role === "sent" ? (
            <Stack gap={4} mt="md">
              <Text fw={600}>{t("held")}</Text>
              {held.data.map((h) => (
                <Group key={h.id} justify="space-between">
                  <Text>{h.subject}</Text>
                  <Anchor component="span">{h.to?.join(", ")}</Anchor>
                </Group>
              ))}
            </Stack>
          ) : null}
        </Grid.Col>
        {params.message ? (
          <Grid.Col span={{ base: 12, md: 6 }}>
            <Reading key={params.message} id={params.message} />
          </Grid.Col>
        ) : null}
      </Grid>
    </Page>
  );
}
