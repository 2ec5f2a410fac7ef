import { ActionIcon, Button, Text } from "@mantine/core";
import { IconLogout } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { codeOf } from "../api/error";
import { sessionQuery, signOut, useSession } from "../api/session";
import { setActivePosition } from "../api/session-state";
import { clearDrafts } from "../lib/draft";
import { clearKept } from "../lib/kept";
import { useNotices } from "../lib/notices";
import { paths } from "../lib/paths";
import { PersonLine, PersonMark } from "../ui/PersonLine";
import { Flyout } from "./Flyout";

/** Who is signed in, and the way out. */
export function AccountMenu() {
  const { t } = useTranslation("app");
  const { person } = useSession();
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const leave = useMutation({
    mutationFn: async () => {
      try {
        await signOut();
      } catch (err) {
        if (codeOf(err) !== "unauthenticated") throw err; // ended already: that is what was wanted
      }
    },
    onSuccess: async () => {
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
  return (
    <Flyout
      label={t("account.label")}
      width={300}
      button={(props) => (
        <ActionIcon
          {...props}
          variant="subtle"
          color="gray"
          size="lg"
          radius="xl"
          aria-label={t("account.of", { name: person.name })}
          title={person.name}
        >
          <PersonMark name={person.name} size={30} />
        </ActionIcon>
      )}
    >
      <PersonLine person={person} plain />
      <Text size="sm" c="dimmed" mb="sm">
        {person.address}
      </Text>
      <Button
        variant="default"
        fullWidth
        loading={leave.isPending}
        leftSection={<IconLogout size={16} stroke={1.5} aria-hidden />}
        onClick={() => leave.mutate()}
      >
        {t("account.sign_out")}
      </Button>
    </Flyout>
  );
}
