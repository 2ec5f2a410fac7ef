import { ActionIcon, Button, Group, Menu, Modal, Skeleton, Stack, Text, Title, Tooltip } from "@mantine/core";
import {
  IconArrowBackUp, IconArrowBackUpDouble, IconArrowForwardUp, IconArrowLeft, IconDots, IconDownload, IconFolderSymlink, IconMail, IconPencil, IconTrash, type Icon,
} from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { useSession } from "../../../api/session";
import { paths, type Place } from "../../../lib/paths";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import { mailboxesQuery, messageQuery, type Mailbox, type Message, type Row } from "../api";
import { replyRecipients } from "../letter";
import { sortMailboxes, useMailboxName, type MailActions } from "../use";
import { Attachments } from "./Attachments";
import { Content } from "./Content";
import { FolderIcon } from "./Folders";
import { Heading } from "./Heading";
import classes from "./Mail.module.css";

interface Props {
  id: string;
  place: string;
  box?: Mailbox;
  /** What the list knows of it already. */
  row?: Row;
  actions: MailActions;
  /** It is about to go: show another. */
  onLeave: (row: Row) => void;
  onClose: () => void;
  onStep: (by: number) => void;
}

/** One message: who wrote it to whom, what it says, its files, and what one can do with it. */
export function Reading({ id, place, box, row, actions, onLeave, onClose, onStep }: Props) {
  const { t } = useTranslation("mail");
  const { data: m, error, refetch } = useQuery(messageQuery(id));
  const title = useRef<HTMLHeadingElement>(null);

  // Read is what has been shown; only once, so that "unread" stays when one says so.
  const marked = useRef(false);
  useEffect(() => {
    if (!m || marked.current) return;
    marked.current = true;
    if (!m.seen) void actions.mark(m, true);
  }, [m, actions]);

  // Where the list has gone the focus must not stay behind.
  useEffect(() => {
    if (!window.matchMedia("(min-width: 1024px)").matches) title.current?.focus();
  }, []);

  if (error && !m) {
    return (
      <>
        <div className={`${classes.tools} ${classes.back}`}>
          <Back onClick={onClose} />
        </div>
        <div className={classes.scroll}>
          {codeOf(error) === "not_found" ? (
            <ErrorState code="not_found" title={t("reading.gone")} />
          ) : (
            <ErrorState code={codeOf(error)} title={t("reading.failed")} onRetry={() => void refetch()} />
          )}
        </div>
      </>
    );
  }
  const known = m ?? row;
  const onKeyDown = (e: KeyboardEvent) => {
    if (!m || e.ctrlKey || e.metaKey || e.altKey || (e.target as HTMLElement).closest("input, textarea, [role=menu], [role=dialog]")) return;
    if (e.key === "j" || e.key === "k") onStep(e.key === "j" ? 1 : -1);
    else if (e.key === "Delete" && box?.role !== "trash") remove();
    else if (e.key === "u") markUnread();
    else return;
    e.preventDefault();
  };
  const remove = () => {
    if (!m) return;
    onLeave(m);
    void actions.remove(m);
  };
  const markUnread = () => {
    if (!m) return;
    onClose();
    void actions.mark(m, false);
  };
  return (
    // The keys are those of the buttons inside, for who reads with the keyboard.
    // eslint-disable-next-line jsx-a11y/no-static-element-interactions
    <div className={classes.item} style={{ flex: 1 }} onKeyDown={onKeyDown}>
      {m ? (
        <Tools m={m} box={box} onBack={onClose} onRemove={remove} onUnread={markUnread} onMove={(to) => { onLeave(m); void actions.move(m, to); }} />
      ) : (
        <div className={classes.tools}>
          <Back onClick={onClose} />
          <Skeleton height={28} width={220} />
        </div>
      )}
      <div className={classes.scroll}>
        <article className={classes.letter} aria-label={known?.subject || t("noSubject")}>
          <Title order={2} fz={20} ref={title} tabIndex={-1} style={{ overflowWrap: "anywhere", outline: "none" }}>
            {known ? known.subject || t("noSubject") : <Skeleton height={22} width="60%" />}
          </Title>
          {m ? (
            <>
              <Heading m={m} />
              <Content m={m} />
              <Attachments m={m} />
              {place === "drafts" || m.draft ? null : <Answers m={m} />}
            </>
          ) : (
            <Stack mt="md" gap="lg">
              <ListSkeleton rows={1} marks />
              <ListSkeleton rows={4} />
            </Stack>
          )}
        </article>
      </div>
    </div>
  );
}

function Back({ onClick }: { onClick: () => void }) {
  const { t } = useTranslation("mail");
  return (
    <Tooltip label={t("back")}>
      <ActionIcon className={classes.back} variant="subtle" color="gray" size="lg" aria-label={t("back")} onClick={onClick}>
        <IconArrowLeft size={20} stroke={1.5} aria-hidden />
      </ActionIcon>
    </Tooltip>
  );
}

/** Whether an answer to all goes to more people than an answer. */
function useMany(m: Message): boolean {
  const { person } = useSession();
  const { to, cc } = replyRecipients(m, person.address ? [person.address] : [], true);
  return to.length + cc.length > 1;
}

interface ToolsProps {
  m: Message;
  box?: Mailbox;
  onBack: () => void;
  onRemove: () => void;
  onUnread: () => void;
  onMove: (to: Mailbox) => void;
}

function Tools({ m, box, onBack, onRemove, onUnread, onMove }: ToolsProps) {
  const { t } = useTranslation("mail");
  const nameOf = useMailboxName();
  const { data: boxes } = useQuery(mailboxesQuery);
  const [asking, setAsking] = useState(false);
  const many = useMany(m);
  const forGood = box?.role === "trash";
  const targets = sortMailboxes(boxes ?? []).filter((b) => b.id !== m.mailbox && b.role !== "drafts" && b.role !== "sent");
  return (
    <div className={classes.tools} role="toolbar" aria-label={t("tools")}>
      <Back onClick={onBack} />
      {m.draft ? (
        <ToolLink place={paths.compose({ draft: m.id })} label={t("goOn")} icon={IconPencil} />
      ) : (
        <>
          <ToolLink place={paths.compose({ reply: m.id })} label={t("reply")} icon={IconArrowBackUp} />
          {many && <ToolLink place={paths.compose({ all: m.id })} label={t("replyAll")} icon={IconArrowBackUpDouble} />}
          <ToolLink place={paths.compose({ forward: m.id })} label={t("forward")} icon={IconArrowForwardUp} />
        </>
      )}
      <span className={classes.spread} />
      <Tool label={forGood ? t("deleteForGood") : t("delete")} icon={IconTrash} onClick={() => (forGood ? setAsking(true) : onRemove())} />
      {!m.draft && <Tool label={t("markUnread")} icon={IconMail} onClick={onUnread} />}
      <Menu position="bottom-end" width={220}>
        <Menu.Target>
          <Tooltip label={t("move.label")}>
            <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t("move.label")}>
              <IconFolderSymlink size={20} stroke={1.5} aria-hidden />
            </ActionIcon>
          </Tooltip>
        </Menu.Target>
        <Menu.Dropdown>
          {targets.map((b) => (
            <Menu.Item key={b.id} leftSection={<FolderIcon role={b.role} />} onClick={() => onMove(b)}>
              {nameOf(b)}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      <Menu position="bottom-end" width={240}>
        <Menu.Target>
          <Tooltip label={t("more")}>
            <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t("more")}>
              <IconDots size={20} stroke={1.5} aria-hidden />
            </ActionIcon>
          </Tooltip>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item component="a" href={m.raw_url} download leftSection={<IconDownload size={18} stroke={1.5} aria-hidden />}>
            {t("saveOriginal")}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Modal opened={asking} onClose={() => setAsking(false)} title={t("forGood.title")}>
        <Text>{t("forGood.text", { subject: m.subject || t("noSubject") })}</Text>
        <Group justify="flex-end" mt="lg">
          <Button variant="default" onClick={() => setAsking(false)} data-autofocus>
            {t("forGood.keep")}
          </Button>
          <Button
            onClick={() => {
              setAsking(false);
              onRemove();
            }}
          >
            {t("deleteForGood")}
          </Button>
        </Group>
      </Modal>
    </div>
  );
}

interface ToolProps {
  label: string;
  icon: Icon;
}

function Tool({ label, icon: Shown, onClick }: ToolProps & { onClick: () => void }) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" size="lg" aria-label={label} onClick={onClick}>
        <Shown size={20} stroke={1.5} aria-hidden />
      </ActionIcon>
    </Tooltip>
  );
}

function ToolLink({ label, icon: Shown, place }: ToolProps & { place: Place }) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" size="lg" aria-label={label} renderRoot={(props) => <Link {...place} {...props} />}>
        <Shown size={20} stroke={1.5} aria-hidden />
      </ActionIcon>
    </Tooltip>
  );
}

/** The answers again in words, below the text: where one is after reading. */
function Answers({ m }: { m: Message }) {
  const { t } = useTranslation("mail");
  const many = useMany(m);
  return (
    <Group mt="xl" gap="xs">
      <Button variant="default" leftSection={<IconArrowBackUp size={18} stroke={1.5} aria-hidden />} renderRoot={(props) => <Link {...paths.compose({ reply: m.id })} {...props} />}>
        {t("reply")}
      </Button>
      {many && (
        <Button variant="default" leftSection={<IconArrowBackUpDouble size={18} stroke={1.5} aria-hidden />} renderRoot={(props) => <Link {...paths.compose({ all: m.id })} {...props} />}>
          {t("replyAll")}
        </Button>
      )}
      <Button variant="default" leftSection={<IconArrowForwardUp size={18} stroke={1.5} aria-hidden />} renderRoot={(props) => <Link {...paths.compose({ forward: m.id })} {...props} />}>
        {t("forward")}
      </Button>
    </Group>
  );
}
