import { ActionIcon, Menu, Tooltip, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { IconCheck, IconLanguage, IconMoon, IconSun } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import type { Lang } from "../lib/dates";
import { languages, setLang, useLang } from "../lib/i18n";

const names: Record<Lang, string> = { vi: "Tiếng Việt", en: "English" };

/** Vietnamese or English. */
export function LanguageMenu() {
  const { t } = useTranslation("app");
  const lang = useLang();
  return (
    <Menu position="bottom-end">
      <Tooltip label={t("language")}>
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t("language")}>
            <IconLanguage size={20} stroke={1.5} aria-hidden />
          </ActionIcon>
        </Menu.Target>
      </Tooltip>
      <Menu.Dropdown>
        {languages.map((l) => (
          <Menu.Item
            key={l}
            lang={l}
            leftSection={<IconCheck size={16} stroke={1.5} aria-hidden visibility={l === lang ? "visible" : "hidden"} />}
            onClick={() => void setLang(l)}
          >
            {names[l]}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

/** Light or dark; the system's choice until somebody chooses. */
export function SchemeToggle() {
  const { t } = useTranslation("app");
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const label = scheme === "light" ? t("scheme.dark") : t("scheme.light");
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="lg"
        aria-label={label}
        onClick={() => setColorScheme(scheme === "light" ? "dark" : "light")}
      >
        {scheme === "light" ? <IconMoon size={20} stroke={1.5} aria-hidden /> : <IconSun size={20} stroke={1.5} aria-hidden />}
      </ActionIcon>
    </Tooltip>
  );
}
