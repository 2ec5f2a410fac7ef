import { Button, Menu } from "@mantine/core";
import {
  IconAlertOctagon, IconArchive, IconChevronDown, IconFileText, IconFolder, IconInbox, IconMailPause, IconPencil, IconSend, IconTrash, type Icon,
} from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { infoQuery } from "../../../api/info";
import { paths } from "../../../lib/paths";
import { ErrorState, ListSkeleton } from "../../../ui/States";
import { heldQuery, mailboxesQuery, type Mailbox } from "../api";
import { heldPlace, placeOf, sortMailboxes, useMailboxName } from "../use";
import classes from "./Mail.module.css";

const icons: Record<string, Icon> = {
  inbox: IconInbox, drafts: IconFileText, sent: IconSend, archive: IconArchive, junk: IconAlertOctagon, trash: IconTrash, [heldPlace]: IconMailPause,
};

/** A folder's picture; decoration beside its name. */
export function FolderIcon({ role }: { role: string }) {
  const Shown = icons[role] ?? IconFolder;
  return <Shown size={18} stroke={1.5} aria-hidden />;
}

/** Mail for outside is held only where it is not sent, in a demo. */
function useHeldCount(): number | undefined {
  const info = useQuery(infoQuery);
  const held = useQuery({ ...heldQuery, enabled: info.data?.demo === true });
  return info.data?.demo ? (held.data?.length ?? 0) : undefined;
}

/** What a folder's number means: unread, but in drafts all. */
function numberOf(b: Mailbox): { shown: number; unread: boolean } {
  if (b.role === "drafts") return { shown: b.total, unread: false };
  if (b.role === "sent" || b.role === "trash") return { shown: 0, unread: false };
  return { shown: b.unread, unread: b.unread > 0 };
}

interface Props {
  /** The place in the address bar. */
  current: string;
}

/** The folders beside the list, in a wide window. */
export function Folders({ current }: Props) {
  const { t } = useTranslation("mail");
  const { data: boxes, error, refetch } = useQuery(mailboxesQuery);
  const nameOf = useMailboxName();
  const held = useHeldCount();
  return (
    <nav className={classes.folders} aria-label={t("folders")}>
      <WriteButton full />
      {error && !boxes ? (
        <ErrorState compact code={codeOf(error)} title={t("foldersFailed")} onRetry={() => void refetch()} />
      ) : !boxes ? (
        <div className={classes.pad}>
          <ListSkeleton rows={6} />
        </div>
      ) : (
        <ul className={classes.folderList}>
          {sortMailboxes(boxes).map((b) => {
            const { shown, unread } = numberOf(b);
            return (
              <li key={b.id}>
                <Link {...paths.mailbox(placeOf(b))} className={classes.folder} aria-current={isCurrent(b, current) ? "page" : undefined}>
                  <FolderIcon role={b.role} />
                  <span className={classes.folderName} title={nameOf(b)}>
                    {nameOf(b)}
                  </span>
                  {shown > 0 && <Number shown={shown} unread={unread} />}
                </Link>
              </li>
            );
          })}
          {held !== undefined && (
            <li>
              <Link {...paths.mailbox(heldPlace)} className={classes.folder} aria-current={current === heldPlace ? "page" : undefined}>
                <FolderIcon role={heldPlace} />
                <span className={classes.folderName}>{t("held.title")}</span>
                {held > 0 && <Number shown={held} unread={false} />}
              </Link>
            </li>
          )}
        </ul>
      )}
    </nav>
  );
}

function Number({ shown, unread }: { shown: number; unread: boolean }) {
  const { t } = useTranslation("mail");
  return (
    <span className={classes.number} data-unread={unread || undefined}>
      <span aria-hidden>{shown > 999 ? "999+" : shown}</span>
      <span className="mantine-visually-hidden">{unread ? t("count.unread", { count: shown }) : t("count.all", { count: shown })}</span>
    </span>
  );
}

export function isCurrent(b: Pick<Mailbox, "id" | "role">, place: string): boolean {
  return b.id === place || (b.role !== "" && b.role === place);
}

/** The folders as a menu, where there is no room beside the list. */
export function FolderMenu({ current, title }: Props & { title: string }) {
  const { t } = useTranslation("mail");
  const { data: boxes } = useQuery(mailboxesQuery);
  const nameOf = useMailboxName();
  const held = useHeldCount();
  return (
    <Menu position="bottom-start" width={240}>
      <Menu.Target>
        <Button
          className={classes.chooser} variant="subtle" color="gray" px="xs" c="var(--mantine-color-text)" fw={600} size="md"
          rightSection={<IconChevronDown size={16} stroke={1.5} aria-hidden />} aria-label={t("chooseFolder", { name: title })}
        >
          {title}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {sortMailboxes(boxes ?? []).map((b) => {
          const { shown, unread } = numberOf(b);
          return (
            <Menu.Item
              key={b.id} leftSection={<FolderIcon role={b.role} />} rightSection={shown > 0 ? <Number shown={shown} unread={unread} /> : undefined}
              fw={isCurrent(b, current) ? 600 : undefined} renderRoot={(props) => <Link {...paths.mailbox(placeOf(b))} {...props} />}
            >
              {nameOf(b)}
            </Menu.Item>
          );
        })}
        {held !== undefined && (
          <Menu.Item
            leftSection={<FolderIcon role={heldPlace} />} rightSection={held > 0 ? <Number shown={held} unread={false} /> : undefined}
            fw={current === heldPlace ? 600 : undefined} renderRoot={(props) => <Link {...paths.mailbox(heldPlace)} {...props} />}
          >
            {t("held.title")}
          </Menu.Item>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}

/** Begins a letter. */
export function WriteButton({ full = false }: { full?: boolean }) {
  const { t } = useTranslation("mail");
  return (
    <Button fullWidth={full} leftSection={<IconPencil size={18} stroke={1.5} aria-hidden />} renderRoot={(props) => <Link {...paths.compose()} {...props} />}>
      {t("compose")}
    </Button>
  );
}
