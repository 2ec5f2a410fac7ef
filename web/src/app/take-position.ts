import { useQueryClient } from "@tanstack/react-query";
import { setActivePosition } from "../api/session-state";

/** Works in another of one's positions from now on; "" is the main one. */
export function useTakePosition(): (id: string) => void {
  const queryClient = useQueryClient();
  return (id) => {
    setActivePosition(id);
    // What one may see hangs on the position: read all of it anew; who one is does not.
    void queryClient.resetQueries({ predicate: (q) => q.queryKey[0] !== "session" && q.queryKey[0] !== "info" });
  };
}
