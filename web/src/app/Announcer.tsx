import { useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";
import { onPushed, type Pushed } from "../api/push";
import { useSession } from "../api/session";
import { i18n } from "../lib/i18n";
import { useNotices } from "../lib/notices";
import { toast } from "../ui/toast";
import { features } from "./features";

/**
 * Turns what the server pushes into notices behind the bell, in the words of
 * the feature that knows the kind, and what happens just now into a toast, too.
 */
export function Announcer() {
  const { person } = useSession();
  const navigate = useNavigate();
  useEffect(() => {
    const seenKey = `commsd.seen.${person.id}`;
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
      useNotices.getState().add({ ...notice, id, at, read: !p.live && at <= Number(localStorage.getItem(seenKey) ?? 0) });
      if (!p.live) return;
      toast.show({
        id: `notice-${id}`,
        title: notice.title,
        message: notice.text,
        ...(place && {
          style: { cursor: "pointer" },
          onClick: () => {
            toast.hide(`notice-${id}`);
            void navigate(place);
          },
        }),
      });
    };
    const stop = onPushed((p) => void announce(p));
    // Looked at once is looked at after a reload, too.
    const unsubscribe = useNotices.subscribe(({ list }) => {
      const newest = list[0];
      if (newest && list.every((n) => n.read)) localStorage.setItem(seenKey, String(newest.at));
    });
    return () => {
      stop();
      unsubscribe();
    };
  }, [person.id, navigate]);
  return null;
}
