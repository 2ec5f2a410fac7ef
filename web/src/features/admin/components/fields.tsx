import { Select, TextInput, type ComboboxItem, type OptionsFilter } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Unit } from "../../../api/directory";
import { formatDate, fromWallClock } from "../../../lib/dates";
import { useLang } from "../../../lib/i18n";
import { matches } from "../../../lib/fold";
import { flat } from "../units";

/** Options whose words begin with what is typed, marks or not. */
export const foldedOptions: OptionsFilter = ({ options, search, limit }) =>
  (options as ComboboxItem[]).filter((o) => !search.trim() || matches(search, o.label)).slice(0, limit);

interface UnitSelectProps {
  label: string;
  description?: string;
  units: Unit[];
  value: string;
  onChange: (unit: string) => void;
  /** The words for no unit: the agency as a whole; without them a unit must be chosen. */
  none?: string;
  /** A unit that cannot be chosen, nor any below it. */
  without?: string;
  /** What cannot be chosen because it lies outside of one's own administration, by path. */
  may?: (path: string) => boolean;
  required?: boolean;
  disabled?: boolean;
}

/** Chooses a unit of the agency by typing any part of its name. */
export function UnitSelect({ label, description, units, value, onChange, none, without, may = () => true, required, disabled }: UnitSelectProps) {
  const { t } = useTranslation("admin");
  const lang = useLang();
  const all = flat(units, lang).filter((u) => (!without || !u.path.includes(`/${without}/`)) && may(u.path));
  return (
    <Select
      label={label} description={description} searchable required={required} disabled={disabled} placeholder={t("unit.placeholder")}
      nothingFoundMessage={t("unit.none")} filter={foldedOptions} limit={200} allowDeselect={false}
      data={[...(none ? [{ value: "-", label: none }] : []), ...all.map((u) => ({ value: u.unit.id, label: u.trail }))]}
      value={value || (none ? "-" : null)} onChange={(next) => onChange(!next || next === "-" ? "" : next)}
    />
  );
}

interface DayProps {
  label: string;
  hint?: string;
  error?: string;
  value: string;
  onChange: (day: string) => void;
}

/** A day. Its own field follows the browser's language, in which 11/12 could be either, so it is said in ours, too. */
export function DayField({ label, hint, error, value, onChange }: DayProps) {
  const at = value ? fromWallClock(value, "12:00") : undefined;
  const said = at && !Number.isNaN(at.getTime()) ? formatDate(at) : hint;
  return <TextInput type="date" label={label} description={said} error={error} value={value} onChange={(e) => onChange(e.currentTarget.value)} />;
}
