import { ActionIcon, Badge, Button, Group, Modal, Stack, TextInput, Title, Tooltip } from "@mantine/core";
import { IconDoorExit, IconUserMinus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Conversation } from "../../../api/conversations";
import { codeOf } from "../../../api/error";
import { findPeople } from "../../../api/people";
import { comparePeople, type PersonView } from "../../../lib/names";
import { PersonLine } from "../../../ui/PersonLine";
import { PersonPicker } from "../../../ui/PersonPicker";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import { conversationQuery, useAddMembers, useRemoveMember, useRename } from "../api";
import { DialogProblem } from "./DialogProblem";
import classes from "./Members.module.css";

interface Props {
  conversation: Conversation;
  me: string;
  onClose: () => void;
  onLeft: () => void;
}

/** Who is in a channel; adding people, renaming it, leaving it. */
export function Members({ conversation, me, onClose, onLeft }: Props) {
  const { t } = useTranslation("chat");
  const { id, owner } = conversation;
  const { data: whole, error, refetch } = useQuery(conversationQuery(id));
  const [people, setPeople] = useState<PersonView[]>([]);
  const [title, setTitle] = useState(conversation.title);
  // What cannot be undone by oneself is asked for twice; the second button says what happens.
  const [asked, setAsked] = useState("");
  const add = useAddMembers(id);
  const rename = useRename(id);
  const remove = useRemoveMember(id);
  const members = [...(whole?.members ?? [])].sort(comparePeople);
  const failed = add.error ?? rename.error ?? remove.error;
  const take = (person: string) => {
    remove.mutate(person, {
      onSuccess: () => {
        setAsked("");
        if (person === me) onLeft();
      },
    });
  };
  return (
    <Modal opened onClose={onClose} size="lg" title={t("members.label")} closeButtonProps={{ "aria-label": t("close") }}>
      <Stack gap="lg">
        <DialogProblem code={failed && codeOf(failed)} title={t("members.failed")} />
        <form
          onSubmit={(e) => {
            e.preventDefault();
            if (title.trim()) rename.mutate(title.trim());
          }}
        >
          <Group align="flex-end" wrap="nowrap">
            <TextInput flex={1} label={t("new.title")} maxLength={120} value={title} onChange={(e) => setTitle(e.currentTarget.value)} />
            <Button type="submit" variant="default" loading={rename.isPending} disabled={!title.trim() || title.trim() === conversation.title}>
              {t("members.rename")}
            </Button>
          </Group>
        </form>
        <form
          onSubmit={(e) => {
            e.preventDefault();
            if (people.length > 0) add.mutate(people.map((p) => p.id), { onSuccess: () => setPeople([]) });
          }}
        >
          <PersonPicker
            label={t("members.add")}
            description={t("new.people_hint")}
            value={people}
            onChange={setPeople}
            search={findPeople}
            exclude={members.map((m) => m.id)}
          />
          {people.length > 0 && (
            <Group justify="flex-end" mt="xs">
              <Button type="submit" loading={add.isPending}>
                {t("members.add_now", { count: people.length })}
              </Button>
            </Group>
          )}
        </form>
        <section>
          <Title order={3} mb="xs">
            {t("members.count", { count: whole?.member_count ?? conversation.member_count })}
          </Title>
          {error && !whole ? (
            <ErrorState compact code={codeOf(error)} title={t("members.load_failed")} onRetry={() => void refetch()} />
          ) : !whole ? (
            <ListSkeleton rows={3} marks />
          ) : (
            <ul className={classes.list}>
              {members.map((m) => (
                <li key={m.id}>
                  <PersonLine
                    person={m}
                    right={
                      <Group gap="xs" wrap="nowrap">
                        {m.owner && (
                          <Badge variant="default" size="sm">
                            {t("members.owner")}
                          </Badge>
                        )}
                        {owner && m.id !== me && (
                          <Tooltip label={t("members.remove", { name: m.name })}>
                            <ActionIcon variant="subtle" color="gray" aria-label={t("members.remove", { name: m.name })} onClick={() => setAsked(m.id)}>
                              <IconUserMinus size={18} stroke={1.5} aria-hidden />
                            </ActionIcon>
                          </Tooltip>
                        )}
                      </Group>
                    }
                  />
                  {asked === m.id && m.id !== me && (
                    <Sure text={t("members.remove_text", { name: m.name })} action={t("members.remove_now")} busy={remove.isPending} onNo={() => setAsked("")} onYes={() => take(m.id)} />
                  )}
                </li>
              ))}
            </ul>
          )}
        </section>
        {asked === me ? (
          <Sure text={t("members.leave_text")} action={t("members.leave")} busy={remove.isPending} onNo={() => setAsked("")} onYes={() => take(me)} />
        ) : (
          <Button variant="default" w="fit-content" leftSection={<IconDoorExit size={16} stroke={1.5} aria-hidden />} onClick={() => setAsked(me)}>
            {t("members.leave")}
          </Button>
        )}
      </Stack>
    </Modal>
  );
}

function Sure({ text, action, busy, onYes, onNo }: { text: string; action: string; busy: boolean; onYes: () => void; onNo: () => void }) {
  const { t } = useTranslation("chat");
  return (
    <div className={classes.sure} role="group" aria-label={action}>
      <span>{text}</span>
      <Group gap="xs" wrap="nowrap">
        <Button size="compact-sm" variant="default" onClick={onNo}>
          {t("cancel")}
        </Button>
        <Button size="compact-sm" loading={busy} onClick={onYes}>
          {action}
        </Button>
      </Group>
    </div>
  );
}
