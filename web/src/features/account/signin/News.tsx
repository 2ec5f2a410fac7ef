import { Alert } from "@mantine/core";
import { IconInfoCircle } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";

/** Why one is at the sign-in page again. */
export default function News({ news }: { news: "ended" | "expired" }) {
  const { t } = useTranslation("account");
  return (
    <Alert role="status" variant="default" icon={<IconInfoCircle stroke={1.5} aria-hidden />} title={t(`signin.news.${news}.title`)}>
      {t(`signin.news.${news}.text`)}
    </Alert>
  );
}
