import { Alert, Button, Code, Group, Modal, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { findPeople } from "../../../api/people";
import type { PersonView } from "../../../lib/names";
import { PersonPicker } from "../../../ui/PersonPicker";
import { toast } from "../../../ui/toast";
import { meetingQuery, useInvite } from "../api";
import { CopyLink } from "./CopyLink";

/** Names more people, of any agency; or gives the link to send by other ways. */
export function InviteDialog({ id, link, onClose }: { id: string; link: string; onClose: () => void }) {
  const { t } = useTranslation("meeting");
  const [people, setPeople] = useState<PersonView[]>([]);
  const invite = useInvite(id);
  const { data: meeting } = useQuery(meetingQuery(id));
  const submit = () => {
    if (people.length === 0) return;
    invite.mutate(
      people.map((p) => p.id),
      {
        onSuccess: ({ invited }) => {
          toast.show({ message: invited.length > 0 ? t("invite.done", { count: invited.length }) : t("invite.already") });
          onClose();
        },
      },
    );
  };
  return (
    <Modal opened onClose={onClose} title={t("invite.heading")} closeButtonProps={{ "aria-label": t("call.close") }}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          submit();
        }}
      >
        <Stack gap="md">
          <PersonPicker
            label={t("invite.people")}
            description={t("form.inviteHint")}
            value={people}
            onChange={setPeople}
            search={findPeople}
            initialFocus
            exclude={(meeting?.people ?? []).filter((p) => p.relation !== "joined").map((p) => p.person.id)}
          />
          {invite.isError && (
            <Alert color="red" variant="light" role="alert">
              {t("invite.failed")}
            </Alert>
          )}
          <div>
            <Text size="sm" mb={4}>
              {t("invite.orLink")}
            </Text>
            <Group gap="xs" wrap="nowrap">
              <Code block style={{ flex: 1, minWidth: 0, whiteSpace: "normal", overflowWrap: "anywhere" }}>
                {link}
              </Code>
              <CopyLink link={link} label={t("call.copy")} />
            </Group>
          </div>
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={onClose}>
              {t("form.cancel")}
            </Button>
            <Button type="submit" disabled={people.length === 0} loading={invite.isPending}>
              {t("invite.send")}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
