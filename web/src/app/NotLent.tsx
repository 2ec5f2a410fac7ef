import { Button } from "@mantine/core";
import { IconUserShare } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { usePageTitle } from "../lib/title";
import { EmptyState } from "../ui/States";
import { useTakePosition } from "./take-position";

/** A part of the work that the position was not lent for. */
export default function NotLent({ part, giver }: { part: "mail" | "chat" | "meetings"; giver: string }) {
  const { t } = useTranslation("app");
  const take = useTakePosition();
  const title = t("position.not_lent", { what: t(`position.scope.${part}`) });
  usePageTitle(title);
  return (
    <EmptyState page title={title} icon={<IconUserShare size={40} stroke={1.5} />} action={<Button onClick={() => take("")}>{t("position.take_own")}</Button>}>
      {t("position.not_lent_text", { name: giver })}
    </EmptyState>
  );
}
