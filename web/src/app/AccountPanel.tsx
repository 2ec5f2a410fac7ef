import { Button, Stack, Text } from "@mantine/core";
import { IconLogout, IconUserCog } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useSession } from "../api/session";
import { useSignOut } from "../api/sign-out";
import { paths } from "../lib/paths";
import { PersonLine } from "../ui/PersonLine";
import { closeFlyout } from "./Flyout";

/** Who is signed in, the way to one's own account, and the way out. */
export default function AccountPanel() {
  const { t } = useTranslation("app");
  const { person } = useSession();
  const leave = useSignOut();
  return (
    <>
      <PersonLine person={person} plain />
      <Text size="sm" c="dimmed" mb="sm">
        {person.address}
      </Text>
      <Stack gap="xs">
        <Button
          variant="default"
          leftSection={<IconUserCog size={16} stroke={1.5} aria-hidden />}
          onClick={closeFlyout}
          renderRoot={(props) => <Link {...paths.account()} {...props} />}
        >
          {t("account.open")}
        </Button>
        <Button variant="default" loading={leave.isPending} leftSection={<IconLogout size={16} stroke={1.5} aria-hidden />} onClick={() => leave.mutate()}>
          {t("account.sign_out")}
        </Button>
      </Stack>
    </>
  );
}
