import { useMutation, useQueryClient, type UseMutationResult } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { clearDrafts } from "../lib/draft";
import { clearKept } from "../lib/kept";
import { useNotices } from "../lib/notices";
import { paths } from "../lib/paths";
import { codeOf } from "./error";
import { forgetLock } from "./lock";
import { sessionQuery, signOut, useSession } from "./session";
import { setActivePosition } from "./session-state";

/** Ends the session, and takes all away that this tab keeps of whoever leaves. */
export function useSignOut(): UseMutationResult<void, Error, void> {
  const { person } = useSession();
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  return useMutation({
    mutationFn: async () => {
      try {
        await signOut();
      } catch (err) {
        if (codeOf(err) !== "unauthenticated") throw err; // ended already: that is what was wanted
      }
    },
    onSuccess: async () => {
      forgetLock();
      setActivePosition("");
      clearDrafts();
      clearKept(person.id);
      useNotices.getState().clear();
      queryClient.setQueryData(sessionQuery.queryKey, null);
      await navigate(paths.signIn());
      // Nothing of the one who left may be shown to the next.
      queryClient.removeQueries({ predicate: (q) => q.queryKey[0] !== "session" && q.queryKey[0] !== "info" });
    },
  });
}
