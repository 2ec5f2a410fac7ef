import { useTranslation } from "react-i18next";
import { ErrorState } from "../../../ui/States";

/** What a form could not do, in the form. */
export function DialogProblem({ code, title }: { code: string | null; title: string }) {
  const { t } = useTranslation("chat");
  if (!code) return null;
  return <ErrorState compact code={code} title={title} text={code === "conflict" ? t("no_account.some") : undefined} />;
}
