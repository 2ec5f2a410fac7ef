import { toast } from "../../ui/toast";
import { useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { createElement, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../api/error";
import { changeMessages, changeRows, countUnread, mailboxesQuery, refreshMail, type Mailbox, type Row } from "./api";
import { Undo } from "./components/Undo";

/** The name of the address of mail held for outside; no mailbox has it. */
export const heldPlace = "held";

/** What the address bar says. */
export function usePlace(): { mailbox: string; message: string } {
  const { mailbox = "inbox", message = "" } = useParams({ strict: false }) as { mailbox?: string; message?: string };
  return { mailbox, message };
}

/** A mailbox in the address bar: its role, which reads well, or its id. */
export function placeOf(box: Pick<Mailbox, "id" | "role">): string {
  return box.role || box.id;
}

const order = ["inbox", "drafts", "sent", "archive", "junk", "trash"];

/** Those with a role in their order, the others by name. */
export function sortMailboxes(boxes: Mailbox[]): Mailbox[] {
  const rank = (b: Mailbox) => (order.includes(b.role) ? order.indexOf(b.role) : order.length);
  return [...boxes].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name, "vi"));
}

/** What a mailbox is called. */
export function useMailboxName(): (box: Pick<Mailbox, "role" | "name">) => string {
  const { t } = useTranslation("mail");
  // i18n: role.inbox, role.drafts, role.sent, role.archive, role.junk, role.trash
  return (box) => (order.includes(box.role) ? t(`role.${box.role}`) : box.name);
}

/** Marks, moves and deletes; the page changes at once, and back when the server says no. */
export function useMailActions() {
  const client = useQueryClient();
  const { t } = useTranslation("mail");
  const nameOf = useMailboxName();
  return useMemo(() => {
    const boxes = () => client.getQueryData(mailboxesQuery.queryKey) ?? [];
    const run = async (ids: string[], change: Parameters<typeof changeMessages>[1]): Promise<boolean> => {
      try {
        await changeMessages(ids, change);
        return true;
      } catch (err) {
        if (codeOf(err) !== "unauthenticated") toast.show({ id: "mail-change", color: "red", title: t("change.failed"), message: t("change.failedHint") });
        return false;
      } finally {
        void refreshMail(client);
      }
    };
    const mark = async (row: Pick<Row, "id" | "mailbox" | "seen">, seen: boolean) => {
      changeRows(client, [row.id], (m) => ({ ...m, seen }));
      if (row.seen !== seen) countUnread(client, row.mailbox, seen ? -1 : 1);
      await run([row.id], { seen });
    };
    const takeAway = (row: Row) => {
      changeRows(client, [row.id], () => null);
      if (!row.seen) countUnread(client, row.mailbox, -1);
    };
    const offerUndo = (row: Row, title: string) => {
      const id = `mail-undo-${row.id}`;
      const undo = () => {
        toast.hide(id);
        void run([row.id], { mailbox: row.mailbox }).then((done) => done && toast.show({ id: `${id}-done`, message: t("undo.done") }));
      };
      toast.show({ id, title, message: createElement(Undo, { subject: row.subject || t("noSubject"), onUndo: undo }), autoClose: 10_000 });
    };
    return {
      mark,
      /** Into the trash, and from there for good. */
      remove: async (row: Row) => {
        const forGood = boxes().find((b) => b.id === row.mailbox)?.role === "trash";
        takeAway(row);
        if ((await run([row.id], { delete: true })) && !forGood) offerUndo(row, t("deleted"));
      },
      move: async (row: Row, to: Mailbox) => {
        takeAway(row);
        if (await run([row.id], { mailbox: to.id })) offerUndo(row, t("move.done", { name: nameOf(to) }));
      },
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- nameOf follows t
  }, [client, t]);
}

export type MailActions = ReturnType<typeof useMailActions>;
