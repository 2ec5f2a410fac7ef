import { Combobox, Loader, Pill, PillsInput, Text, useCombobox } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconAt } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useId, useRef, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { peopleQuery } from "../../../api/people";
import { PersonLine } from "../../../ui/PersonLine";
import { addEntries, isAddress, nameOf, readAddress, splitEntries, writeAddress } from "../letter";
import classes from "./Mail.module.css";

interface Props {
  label: string;
  value: string[];
  /** What is typed and not yet an entry. */
  typed: string;
  onChange: (value: string[], typed: string) => void;
  error?: ReactNode;
  /** The page begins here. */
  begin?: boolean;
}

const freeOption = "free:";

/** Recipients: people of the directory by any part of their name, or addresses as they are. */
export function Recipients({ label, value, typed, onChange, error, begin }: Props) {
  const { t } = useTranslation("mail");
  const field = useRef<HTMLInputElement>(null);
  const [query] = useDebouncedValue(typed.trim(), 150);
  const people = useQuery({ ...peopleQuery(query, 8), enabled: query.length > 0 });
  const combobox = useCombobox({ onDropdownClose: () => combobox.resetSelectedOption() });
  const statusId = useId();

  const taken = new Set(value.map((e) => readAddress(e).address.toLowerCase()));
  const found = query && query === typed.trim() ? (people.data ?? []).filter((p) => p.address && !taken.has(p.address.toLowerCase())) : [];
  const free = isAddress(readAddress(typed).address) && !found.some((p) => p.address?.toLowerCase() === readAddress(typed).address.toLowerCase());
  const busy = typed.trim() !== "" && (query !== typed.trim() || people.isFetching);
  const message = busy ? t("recipients.busy") : people.isError ? t("recipients.failed") : found.length === 0 && !free ? t("recipients.none") : "";

  useEffect(() => {
    if (found.length > 0 || free) combobox.selectFirstOption();
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the combobox store is new on each render
  }, [people.data, free]);

  const take = (text: string) => onChange(addEntries(value, splitEntries(text)), "");
  const choose = (option: string) => {
    if (option.startsWith(freeOption)) {
      take(typed);
    } else {
      const person = found.find((p) => p.id === option);
      if (person?.address) onChange(addEntries(value, [writeAddress({ name: person.name, address: person.address })]), "");
    }
    combobox.closeDropdown();
  };

  return (
    <Combobox store={combobox} onOptionSubmit={choose}>
      <Combobox.DropdownTarget>
        <PillsInput label={label} error={error} onClick={() => field.current?.focus()} rightSection={busy ? <Loader size={14} aria-hidden /> : undefined}>
          <Pill.Group>
            {value.map((entry) => {
              const a = readAddress(entry);
              const ok = isAddress(a.address);
              return (
                <Pill
                  key={entry} className={ok ? undefined : classes.bad} title={ok ? a.address : t("recipients.wrong", { address: a.address })} withRemoveButton
                  onRemove={() => onChange(value.filter((e) => e !== entry), typed)}
                  removeButtonProps={{ "aria-label": t("recipients.remove", { name: nameOf(a) }), "aria-hidden": false, tabIndex: 0 }}
                >
                  {nameOf(a)}
                </Pill>
              );
            })}
            <Combobox.EventsTarget>
              <PillsInput.Field
                ref={field} value={typed} aria-label={label} aria-describedby={statusId} autoComplete="off" spellCheck={false} inputMode="email"
                // eslint-disable-next-line jsx-a11y/no-autofocus -- the first field of a page one has just asked for
                autoFocus={begin} placeholder={value.length === 0 ? t("recipients.placeholder") : undefined}
                onChange={(e) => {
                  const text = e.currentTarget.value;
                  // A separator ends an entry, but not within a quoted name; the composing of a letter is none.
                  if (/[,;\n]\s*$/.test(text) && !(e.nativeEvent as InputEvent).isComposing && splitEntries(text).every((x) => isAddress(readAddress(x).address))) {
                    take(text);
                    return;
                  }
                  onChange(value, text);
                  combobox.openDropdown();
                }}
                onPaste={(e) => {
                  const text = e.clipboardData.getData("text");
                  if (splitEntries(text).length < 2 && !isAddress(readAddress(text).address)) return;
                  e.preventDefault();
                  take(`${typed}${typed ? "," : ""}${text}`);
                }}
                onBlur={() => {
                  combobox.closeDropdown();
                  // A name half typed stays in the field, to be gone on with.
                  if (typed.trim() && splitEntries(typed).every((x) => isAddress(readAddress(x).address))) take(typed);
                }}
                onKeyDown={(e) => {
                  if (e.nativeEvent.isComposing) return;
                  if (e.key === "Enter" && (!combobox.dropdownOpened || (found.length === 0 && !free)) && typed.trim()) {
                    e.preventDefault();
                    take(typed);
                  } else if (e.key === "Backspace" && typed === "" && value.length > 0) {
                    e.preventDefault();
                    onChange(value.slice(0, -1), "");
                  }
                }}
              />
            </Combobox.EventsTarget>
          </Pill.Group>
        </PillsInput>
      </Combobox.DropdownTarget>
      <span id={statusId} className="mantine-visually-hidden" aria-live="polite">
        {typed.trim() ? message : ""}
      </span>
      <Combobox.Dropdown hidden={!typed.trim()}>
        <Combobox.Options mah={320} style={{ overflowY: "auto" }} aria-label={t("recipients.options")}>
          {found.map((p) => (
            <Combobox.Option key={p.id} value={p.id}>
              <PersonLine person={p} />
            </Combobox.Option>
          ))}
          {free && (
            <Combobox.Option value={freeOption + typed}>
              <span className={classes.freeOption}>
                <IconAt size={18} stroke={1.5} aria-hidden />
                {t("recipients.free", { address: readAddress(typed).address })}
              </span>
            </Combobox.Option>
          )}
          {found.length === 0 && !free && (
            <Text c="dimmed" p="xs">
              {message}
            </Text>
          )}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}
