import { ActionIcon, Button, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { IconMoon, IconSun } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import type { Lang } from "../lib/dates";
import { setLang, useLang } from "../lib/i18n";
import classes from "./Preferences.module.css";

const names: Record<Lang, string> = { vi: "Tiếng Việt", en: "English" };

/** To the other of the two languages, named in itself. */
export function LanguageToggle() {
  const lang = useLang();
  const other: Lang = lang === "vi" ? "en" : "vi";
  return (
    <Button variant="subtle" color="gray" size="compact-sm" lang={other} className={classes.language} onClick={() => void setLang(other)}>
      <span className={classes.long}>{names[other]}</span>
      <span className={classes.short} aria-hidden>
        {other.toUpperCase()}
      </span>
    </Button>
  );
}

/** Light or dark; the system's choice until somebody chooses. */
export function SchemeToggle() {
  const { t } = useTranslation("app");
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const label = scheme === "light" ? t("scheme.dark") : t("scheme.light");
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="lg"
      aria-label={label}
      title={label}
      onClick={() => setColorScheme(scheme === "light" ? "dark" : "light")}
    >
      {scheme === "light" ? <IconMoon size={20} stroke={1.5} aria-hidden /> : <IconSun size={20} stroke={1.5} aria-hidden />}
    </ActionIcon>
  );
}
