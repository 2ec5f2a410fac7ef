import { Alert, Button, Stack, TagsInput, Textarea, TextInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { paths } from "../../../lib/paths";
import { Page } from "../../../ui/Page";
import { PageHeader } from "../../../ui/PageHeader";
import { sendLetter } from "../api";

/** A letter being written. */
export function ComposePage() {
  const { t } = useTranslation("mail");
  const navigate = useNavigate();
  const client = useQueryClient();
  const search: { to?: string } = useSearch({ strict: false });
  const [to, setTo] = useState<string[]>(search.to ? [search.to] : []);
  const [subject, setSubject] = useState("");
  const [text, setText] = useState("");
  const [state, setState] = useState<"" | "sending" | "failed">("");
  const send = async () => {
    setState("sending");
    try {
      await sendLetter({ to, subject, text });
    } catch {
      setState("failed");
      return;
    }
    await client.invalidateQueries({ queryKey: ["mail"] });
    await navigate(paths.mail());
  };
  return (
    <Page>
      <PageHeader title={t("compose")} />
      <Stack>
        {state === "failed" ? <Alert color="red">{t("failed")}</Alert> : null}
        <TagsInput label={t("to")} value={to} onChange={setTo} acceptValueOnBlur splitChars={[",", ";", " "]} />
        <TextInput label={t("subject")} value={subject} onChange={(e) => setSubject(e.currentTarget.value)} />
        <Textarea label={t("text")} autosize minRows={10} value={text} onChange={(e) => setText(e.currentTarget.value)} />
        <Button loading={state === "sending"} disabled={to.length === 0} onClick={() => void send()}>
          {t("send")}
        </Button>
      </Stack>
    </Page>
  );
}
