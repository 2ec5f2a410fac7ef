import { Button, Group, Modal, Stack, TextInput } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { findPeople } from "../../../api/people";
import { useSession } from "../../../api/session";
import { useDraft } from "../../../lib/draft";
import type { PersonView } from "../../../lib/names";
import { paths } from "../../../lib/paths";
import { PersonPicker } from "../../../ui/PersonPicker";
import { useCreateConversation } from "../api";
import { DialogProblem } from "./DialogProblem";

const none: { title: string; people: PersonView[] } = { title: "", people: [] };

/** Makes a channel, with people of any agency. */
export function NewChannel({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation("chat");
  const navigate = useNavigate();
  const me = useSession().person.id;
  const [draft, setDraft, clear] = useDraft(`chat.${me}.new-channel`, none);
  const [missing, setMissing] = useState(false);
  const create = useCreateConversation();
  const submit = async () => {
    const title = draft.title.trim();
    setMissing(!title);
    if (!title) return;
    try {
      const made = await create.mutateAsync({ kind: "channel", title, people: draft.people.map((p) => p.id) });
      clear();
      onClose();
      await navigate(paths.conversation(made.id));
    } catch {
      // shown in the form
    }
  };
  return (
    <Modal opened onClose={onClose} title={t("new.channel")} closeButtonProps={{ "aria-label": t("close") }}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          void submit();
        }}
      >
        <Stack gap="md">
          <DialogProblem code={create.error && codeOf(create.error)} title={t("new.failed")} />
          <TextInput
            label={t("new.title")}
            placeholder={t("new.title_example")}
            maxLength={120}
            data-autofocus
            value={draft.title}
            error={missing && !draft.title.trim() ? t("new.title_missing") : undefined}
            onChange={(e) => setDraft({ ...draft, title: e.currentTarget.value })}
          />
          <PersonPicker
            label={t("new.people")}
            description={t("new.people_hint")}
            value={draft.people}
            onChange={(people) => setDraft({ ...draft, people })}
            search={findPeople}
            exclude={[me]}
          />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {t("cancel")}
            </Button>
            <Button type="submit" loading={create.isPending}>
              {t("new.make")}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
