import { Button, Text } from "@mantine/core";
import { useLocation, useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";
import { onPushed, type Pushed } from "../api/push";
import { useSession } from "../api/session";
import { i18n } from "../lib/i18n";
import { isAt, useNotices } from "../lib/notices";
import { toast } from "../ui/toast";
import { features } from "./features";

/**
 * Turns what the server pushes into notices behind the bell, in the words of
 * the feature that knows the kind, and what happens just now into a toast, too.
 * Who comes to a notice's place, by whatever way, has no need of it any more.
 */
export function Announcer() {
  const { person } = useSession();
  const navigate = useNavigate();
  const pathname = useLocation({ select: (l) => l.pathname });
  useEffect(() => useNotices.getState().visit(pathname), [pathname]);
  useEffect(() => {
    const seen = seenBy(person.id);
    const announce = async (p: Pushed) => {
      const feature = features.find((f) => f.notices?.[p.kind]);
      const view = feature?.notices?.[p.kind];
      if (!feature || !view) return;
      await i18n.loadNamespaces(feature.name);
      const notice = view(p.body, i18n.getFixedT(null, feature.name));
      if (!notice) return;
      const id = p.id ?? p.kind; // a hint's next replaces it
      const at = p.at ? new Date(p.at).getTime() : Date.now();
      const { place } = notice;
      const there = isAt(place, location.pathname);
      useNotices.getState().add({ ...notice, id, at, read: there || (!p.live && seen.has(id, at)) });
      if (!p.live || there) return;
      toast.show({
        id: `notice-${id}`,
        title: notice.title,
        message: place ? (
          <>
            {notice.text && <Text size="sm">{notice.text}</Text>}
            <Button size="compact-sm" variant="default" mt={8} onClick={() => void navigate(place)}>
              {notice.action ?? i18n.t("app:bell.open")}
            </Button>
          </>
        ) : (
          notice.text
        ),
      });
    };
    const stop = onPushed((p) => void announce(p));
    const unsubscribe = useNotices.subscribe(({ list }, before) => {
      seen.keep(list);
      for (const n of list) if (n.read && before.list.some((b) => b.id === n.id && !b.read)) toast.hide(`notice-${n.id}`);
    });
    return () => {
      stop();
      unsubscribe();
    };
  }, [person.id, navigate]);
  return null;
}

/** What has been looked at once is looked at after a reload, too. */
function seenBy(person: string) {
  const upToKey = `commsd.seen.${person}`;
  const onesKey = `commsd.seen-ones.${person}`;
  const ones = new Set((localStorage.getItem(onesKey) ?? "").split(" "));
  return {
    has: (id: string, at: number): boolean => ones.has(id) || at <= Number(localStorage.getItem(upToKey) ?? 0),
    keep(list: { id: string; at: number; read: boolean }[]): void {
      const newest = list[0];
      if (newest && list.every((n) => n.read)) localStorage.setItem(upToKey, String(newest.at));
      const fresh = list.filter((n) => n.read && !ones.has(n.id));
      if (fresh.length === 0) return;
      for (const { id } of fresh) ones.add(id);
      localStorage.setItem(onesKey, [...ones].slice(-100).join(" "));
    },
  };
}
