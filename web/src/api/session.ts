import { queryOptions, useQuery } from "@tanstack/react-query";
import { api, data } from "./client";
import { codeOf } from "./error";
import type { components } from "./schema";
import { activePosition, setActivePosition, useActivePosition } from "./session-state";

export type Session = components["schemas"]["DirectorySession"];
export type Position = components["schemas"]["DirectoryPosition"];

/** Who is signed in; null when nobody is. */
export const sessionQuery = queryOptions({
  queryKey: ["session"],
  staleTime: 5 * 60_000,
  queryFn: async (): Promise<Session | null> => {
    const current = () => data(api.GET("/api/v1/sessions/current"));
    try {
      return await current();
    } catch (err) {
      if (codeOf(err) === "unauthenticated") return null;
      if (codeOf(err) !== "forbidden" || !activePosition()) throw err;
    }
    // The chosen position has ended or was taken back: the main one acts again.
    setActivePosition("");
    return current();
  },
});

/** The signed-in person's session, in pages that stand behind sign-in. */
export function useSession(): Session {
  useActivePosition(); // currentPosition hangs on it
  const { data: session } = useQuery(sessionQuery);
  if (!session) throw new Error("useSession outside the signed-in pages");
  return session;
}

/** The position that this tab acts as; none for an account without one. */
export function currentPosition(session: Session): Position | undefined {
  const positions = session.positions ?? [];
  return positions.find((p) => p.id === activePosition()) ?? positions[0];
}

export async function signOut(): Promise<void> {
  await api.DELETE("/api/v1/sessions/current");
}
