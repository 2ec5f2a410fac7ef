import { Text } from "@mantine/core";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

/** How long one has been inside, 12:05 or 1:02:05. */
export function Duration({ since }: { since: number }) {
  const { t } = useTranslation("meeting");
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.floor((now - since) / 1_000));
  const two = (n: number) => String(n).padStart(2, "0");
  const hours = Math.floor(seconds / 3_600);
  const rest = `${hours ? two(Math.floor(seconds / 60) % 60) : Math.floor(seconds / 60)}:${two(seconds % 60)}`;
  return (
    <Text component="span" c="dimmed" className="tabular" title={t("call.duration")}>
      <span className="mantine-visually-hidden">{t("call.duration")} </span>
      {hours ? `${hours}:${rest}` : rest}
    </Text>
  );
}
