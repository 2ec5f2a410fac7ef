import { Combobox, Loader, Pill, PillsInput, Text, useCombobox } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useEffect, useId, useState } from "react";
import { useTranslation } from "react-i18next";
import type { PersonView } from "../lib/names";
import { PersonLine } from "./PersonLine";

interface Props {
  label: string;
  description?: string;
  error?: string;
  placeholder?: string;
  value: PersonView[];
  onChange: (people: PersonView[]) => void;
  /** findPeople of api/people.ts, or a narrower search. */
  search: (q: string, limit?: number, signal?: AbortSignal) => Promise<PersonView[]>;
  /** People not offered: oneself, who is in already. */
  exclude?: string[];
  /** At most this many; 1 makes it a choice of one. */
  max?: number;
  initialFocus?: boolean;
}

type Answer = { query: string } & ({ state: "failed" } | { state: "found"; people: PersonView[] });

/** Chooses people by typing any part of a name, with or without marks. */
export function PersonPicker({ label, description, error, placeholder, value, onChange, search, exclude = [], max, initialFocus }: Props) {
  const { t } = useTranslation("ui");
  const [text, setText] = useState("");
  const [query] = useDebouncedValue(text.trim(), 150);
  const [answer, setAnswer] = useState<Answer | null>(null);
  // An answer to an older question counts as none.
  const found = answer?.query === query ? answer : { state: "busy" as const };
  const combobox = useCombobox({ onDropdownClose: () => combobox.resetSelectedOption() });
  const statusId = useId();

  useEffect(() => {
    if (!query) return;
    const abort = new AbortController();
    search(query, 20, abort.signal).then(
      (people) => !abort.signal.aborted && setAnswer({ query, state: "found", people }),
      () => !abort.signal.aborted && setAnswer({ query, state: "failed" }),
    );
    return () => abort.abort();
  }, [query, search]);

  const hidden = new Set([...exclude, ...value.map((p) => p.id)]);
  const options = found.state === "found" ? found.people.filter((p) => !hidden.has(p.id)) : [];
  const full = max !== undefined && value.length >= max;
  const message =
    found.state === "busy" ? t("picker.busy") : found.state === "failed" ? t("picker.failed") : options.length === 0 ? t("picker.none") : "";

  useEffect(() => {
    if (options.length > 0) combobox.selectFirstOption();
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the combobox store is new on each render
  }, [answer]);

  const choose = (id: string) => {
    const person = options.find((p) => p.id === id);
    if (!person) return;
    onChange([...value, person]);
    setText("");
    combobox.closeDropdown();
  };

  return (
    <Combobox store={combobox} onOptionSubmit={choose}>
      <Combobox.DropdownTarget>
        <PillsInput
          label={label}
          description={description}
          error={error}
          onClick={() => combobox.openDropdown()}
          rightSection={query && found.state === "busy" ? <Loader size={14} aria-hidden /> : undefined}
        >
          <Pill.Group>
            {value.map((p) => (
              <Pill
                key={p.id}
                title={[p.title, p.agency_name].filter(Boolean).join(" · ")}
                withRemoveButton
                onRemove={() => onChange(value.filter((q) => q.id !== p.id))}
                removeButtonProps={{ "aria-label": t("picker.remove", { name: p.name }), "aria-hidden": false, tabIndex: 0 }}
              >
                {p.name}
              </Pill>
            ))}
            <Combobox.EventsTarget>
              <PillsInput.Field
                value={text}
                readOnly={full} // not disabled, which would grey who is chosen
                data-autofocus={initialFocus || undefined}
                aria-label={label}
                aria-describedby={statusId}
                placeholder={value.length === 0 ? (placeholder ?? t("picker.placeholder")) : undefined}
                onFocus={() => text.trim() && combobox.openDropdown()} // open and empty, it would eat a dialog's Escape
                onBlur={() => combobox.closeDropdown()}
                onChange={(e) => {
                  setText(e.currentTarget.value);
                  if (e.currentTarget.value.trim()) combobox.openDropdown();
                  else combobox.closeDropdown();
                }}
                onKeyDown={(e) => {
                  if (e.nativeEvent.isComposing) return;
                  if (e.key === "Backspace" && text === "" && value.length > 0) {
                    e.preventDefault();
                    onChange(value.slice(0, -1));
                  }
                }}
              />
            </Combobox.EventsTarget>
          </Pill.Group>
        </PillsInput>
      </Combobox.DropdownTarget>
      <span id={statusId} className="mantine-visually-hidden" aria-live="polite">
        {query ? message : ""}
      </span>
      <Combobox.Dropdown hidden={!query}>
        <Combobox.Options mah={320} style={{ overflowY: "auto" }} aria-label={label}>
          {options.map((p) => (
            <Combobox.Option key={p.id} value={p.id}>
              <PersonLine person={p} />
            </Combobox.Option>
          ))}
          {options.length === 0 && (
            <Text c="dimmed" p="xs">
              {message}
            </Text>
          )}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}
