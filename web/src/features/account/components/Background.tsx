import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { reportActivity } from "../../../api/activity";
import { lockPage, openPage, useLock } from "../../../api/lock";
import { sessionQuery, useSession } from "../../../api/session";
import { noteActivity } from "../api";
import { watchIdle } from "../idle";
import { LockDialog } from "./LockDialog";

/** On every page: tells the server that somebody works here, learns when the session is locked, and shows it. */
export default function Background() {
  const session = useSession();
  const client = useQueryClient();
  const lock = useLock((s) => s.lock);

  // What the server says of the session: at the start, and each time it is asked.
  useEffect(() => {
    if (session.locked) lockPage();
    else if (useLock.getState().lock === "locked") openPage();
  }, [session]);

  // Another tab has opened it: what is known of the session here is old.
  useEffect(() => {
    if (lock === "open" && session.locked) void client.invalidateQueries({ queryKey: sessionQuery.queryKey });
  }, [lock, session, client]);

  const { idle_lock: seconds } = session;
  useEffect(() => {
    if (lock === "locked" || seconds <= 0) return;
    const ask = async () => {
      const now = await client.fetchQuery({ ...sessionQuery, staleTime: 0 });
      if (now?.locked) lockPage();
      return now?.locked ?? true; // ended: sign-in shows itself
    };
    const stops = [reportActivity(seconds, noteActivity), watchIdle(seconds, ask)];
    return () => stops.forEach((stop) => stop());
  }, [lock, seconds, client]);

  return lock === "locked" || lock === "confirm" ? <LockDialog kind={lock} /> : null;
}
