import { TextInput } from "@mantine/core";
import type { Ref } from "react";

interface Props {
  label: string;
  description?: string;
  value: string;
  error?: string;
  onChange: (value: string) => void;
  inputRef?: Ref<HTMLInputElement>;
  placeholder?: string;
}

/** The six digits of an authenticator: the numbers' keypad on a phone, spaces and dashes of a pasted code ignored. */
export function DigitsField({ onChange, inputRef, ...rest }: Props) {
  return (
    <TextInput
      {...rest}
      ref={inputRef}
      type="text"
      inputMode="numeric"
      autoComplete="one-time-code"
      spellCheck={false}
      styles={{ input: { letterSpacing: "0.3em", fontSize: 18, fontVariantNumeric: "tabular-nums" } }}
      onChange={(e) => onChange(digitsOf(e.currentTarget.value))}
    />
  );
}

export function digitsOf(text: string): string {
  // Full-width digits of an input method count as digits (NFKC).
  return text.normalize("NFKC").replaceAll(/\D/g, "").slice(0, 6);
}

/** A code of letters and digits, printed in groups. */
export function PrintedCodeField({ onChange, inputRef, ...rest }: Props) {
  return (
    <TextInput
      {...rest}
      ref={inputRef}
      type="text"
      autoComplete="off"
      autoCapitalize="characters"
      autoCorrect="off"
      spellCheck={false}
      styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
      onChange={(e) => onChange(e.currentTarget.value)}
    />
  );
}
