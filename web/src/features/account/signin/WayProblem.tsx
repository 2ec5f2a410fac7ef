import { useTranslation } from "react-i18next";
import { ApiError, codeOf } from "../../../api/error";
import { Problem } from "../components/Problem";

interface Props {
  /** By what one tried to come in: the password, a passkey, or an outside provider of this name. */
  way: "password" | "passkey" | (string & {});
  error: unknown;
}

/** Why one is not in yet, in words that blame nobody. */
export default function WayProblem({ way, error }: Props) {
  const { t } = useTranslation("account");
  if (way === "password") {
    const code = codeOf(error);
    const seconds = error instanceof ApiError ? error.retryAfter : undefined;
    const kind =
      code === "unauthenticated" || code === "invalid" ? "wrong"
      : code === "rate_limited" ? "rate_limited"
      : code === "offline" || code === "unavailable" ? "away"
      : "internal";
    const text = kind === "rate_limited" && seconds ? t("signin.problem.wait", { count: seconds }) : t(`signin.problem.${kind}.text`);
    return <Problem error={error} title={t(`signin.problem.${kind}.title`)} words={{ [code]: text }} />;
  }
  if (way === "passkey") {
    return <Problem error={error} title={t("signin.passkey_failed")} words={{ unauthenticated: t("signin.passkey_unknown"), gone: t("signin.passkey_slow") }} />;
  }
  const words = t("signin.provider_refused", { provider: way });
  return (
    <Problem
      error={error}
      title={t("signin.provider_failed", { provider: way })}
      words={{ unauthenticated: words, forbidden: words, not_found: words, invalid: words, conflict: words, gone: t("signin.passkey_slow") }}
    />
  );
}
