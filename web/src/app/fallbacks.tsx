import { Button } from "@mantine/core";
import { IconMapOff } from "@tabler/icons-react";
import { Link, type ErrorComponentProps } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { codeOf } from "../api/error";
import { paths } from "../lib/paths";
import { EmptyState, ErrorState } from "../ui/States";
import { usePageTitle } from "../lib/title";

/** An address that leads nowhere. */
export function NotFoundPage() {
  const { t } = useTranslation("app");
  usePageTitle(t("not_found.title"));
  return (
    <EmptyState
      title={t("not_found.title")}
      icon={<IconMapOff size={40} stroke={1.5} />}
      action={
        <Button variant="default" renderRoot={(props) => <Link {...paths.today()} {...props} />}>
          {t("not_found.action")}
        </Button>
      }
    >
      {t("not_found.text")}
    </EmptyState>
  );
}

/** A page that failed while it was drawn or loaded. */
export function PageError({ error, reset }: ErrorComponentProps) {
  return <ErrorState code={codeOf(error)} onRetry={reset} />;
}
