import { Alert } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { ApiError, codeOf } from "../../../api/error";
import { PasskeyError } from "../../../lib/webauthn";

interface Props {
  /** What was thrown; null shows nothing. */
  error: unknown;
  /** What could not be done, "Chưa đổi được mật khẩu". */
  title: string;
  /** Words of the form's own for a code: what "unauthenticated" or "conflict" means here. */
  words?: Partial<Record<string, ReactNode>>;
}

/** What a form could not do, beside it: why, and what to try. */
export function Problem({ error, title, words = {} }: Props) {
  const text = useProblemText();
  if (!error || codeOf(error) === "locked") return null; // declined to prove who one is: that is known
  const code = codeOf(error);
  return (
    <Alert role="alert" variant="default" icon={<IconAlertTriangle stroke={1.5} color="var(--commsd-bad)" aria-hidden />} title={title}>
      {words[code] ?? text(error)}
    </Alert>
  );
}

const spoken = new Set(["offline", "unavailable", "forbidden", "not_found", "gone", "conflict", "invalid", "too_large"]);

/** A function that says in words why something failed. */
export function useProblemText(): (error: unknown) => string {
  const { t } = useTranslation("account");
  return (error) => {
    if (error instanceof PasskeyError) return t(`problem.passkey.${error.problem}`);
    if (error instanceof ApiError && error.code === "rate_limited") return error.retryAfter ? t("problem.wait", { count: error.retryAfter }) : t("problem.rate_limited");
    const code = codeOf(error);
    return t(`problem.${spoken.has(code) ? code : "internal"}`);
  };
}
