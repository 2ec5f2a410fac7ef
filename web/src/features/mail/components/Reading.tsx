import { Anchor, Button, Group, Stack, Text, Title } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { formatDateTime } from "../../../lib/dates";
import { paths } from "../../../lib/paths";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import { markSeen, messageQuery, moveToTrash } from "../api";

const policy = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'";

/** One message. HTML came cleaned and runs in a frame without scripts. */
export function Reading({ id }: { id: string }) {
  const { t } = useTranslation("mail");
  const navigate = useNavigate();
  const client = useQueryClient();
  const message = useQuery(messageQuery(id));
  const unseen = message.data ? !message.data.seen : false;
  useEffect(() => {
    if (unseen) void markSeen(id).then(() => client.invalidateQueries({ queryKey: ["mail"] }));
  }, [id, unseen, client]);
  if (message.isError) return <ErrorState onRetry={() => void message.refetch()} />;
  if (!message.data) return <ListSkeleton />;
  const m = message.data;
  const from = m.from?.[0];
  const remove = async () => {
    await moveToTrash(id);
    await client.invalidateQueries({ queryKey: ["mail"] });
    await navigate(paths.mailbox(m.mailbox));
  };
  return (
    <Stack component="article" gap="sm">
      <Title order={2}>{m.subject || t("noSubject")}</Title>
      <Text>
        {from?.name || from?.address || t("noSender")} · {formatDateTime(m.received_at)}
      </Text>
      <Text c="dimmed">{t("toLine", { to: m.to?.map((a) => a.name || a.address).join(", ") })}</Text>
      <Group>
        <Button variant="default" onClick={() => void navigate(paths.compose({ to: from?.address }))}>
          {t("reply")}
        </Button>
        <Button variant="default" onClick={() => void remove()}>
          {t("delete")}
        </Button>
      </Group>
      {m.html ? (
        <iframe title={t("content")} sandbox="allow-same-origin allow-popups" srcDoc={`<meta http-equiv="Content-Security-Policy" content="${policy}">${m.html}`} style={{ border: 0, width: "100%", minHeight: 400, background: "white" }} />
      ) : (
        <Text style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>{m.text}</Text>
      )}
      {m.attachment_parts?.map((a) => (
        <Anchor key={a.part} href={a.url}>
          {a.name}
        </Anchor>
      ))}
    </Stack>
  );
}
