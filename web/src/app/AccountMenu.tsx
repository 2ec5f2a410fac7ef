import { ActionIcon } from "@mantine/core";
import { lazy, Suspense, useEffect } from "react";
import { useTranslation } from "react-i18next";
import { useSession } from "../api/session";
import { photoOf } from "../lib/photo";
import { PersonMark } from "../ui/PersonLine";
import { Flyout } from "./Flyout";

// Not for the first paint, and there before anybody can open it, whatever becomes of the network.
const load = () => import("./AccountPanel");
const AccountPanel = lazy(load);

/** The account, at the header's end. */
export function AccountMenu() {
  const { t } = useTranslation("app");
  const { person } = useSession();
  useEffect(() => void load().catch(() => {}), []);
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
          <PersonMark name={person.name} photo={photoOf(person)} size={30} />
        </ActionIcon>
      )}
    >
      <Suspense fallback={null}>
        <AccountPanel />
      </Suspense>
    </Flyout>
  );
}
