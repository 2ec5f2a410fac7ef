import { useTranslation } from "react-i18next";
import { useLang } from "../../../lib/i18n";
import classes from "./UnitTree.module.css";

/** A number of people: digits for the eye, words for who listens. */
export function Count({ people }: { people: number }) {
  const { t } = useTranslation("directory");
  const lang = useLang();
  return (
    <span className={classes.count}>
      <span aria-hidden>{new Intl.NumberFormat(lang).format(people)}</span>
      <span className="mantine-visually-hidden">{t("people", { count: people })}</span>
    </span>
  );
}
