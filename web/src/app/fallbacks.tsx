import { Button } from "@mantine/core";
import { IconMapOff } from "@tabler/icons-react";
import { Link, useRouter, type ErrorComponentProps } from "@tanstack/react-router";
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
      page
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

/** A page that failed while it was drawn or loaded; rail and header stay. */
export function PageError({ error, reset }: Pick<ErrorComponentProps, "error" | "reset">) {
  const { t } = useTranslation("app");
  const router = useRouter();
  usePageTitle(t("failed.title"));
  const again = () => {
    reset();
    void router.invalidate(); // what failed while it loaded is loaded anew
  };
  return (
    <>
      <h1 className="mantine-visually-hidden">{t("failed.title")}</h1>
      <ErrorState code={codeOf(error)} onRetry={again} />
    </>
  );
}

/** The same where not even rail and header could be drawn: the server is away as the page opens. */
export function BareError(props: ErrorComponentProps) {
  return (
    <main>
      <PageError {...props} />
    </main>
  );
}
