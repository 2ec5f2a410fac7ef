import {
  createTheme, defaultVariantColorsResolver, type CSSVariablesResolver, type MantineColorsTuple, type VariantColorsResolver,
} from "@mantine/core";

import combobox from "./Combobox.module.css";

/**
 * The design language: warm neutral greys, one accent for the primary action
 * and the present selection, radius 6, space by 4 px, hairlines instead of
 * shadows but for what floats. Nothing is styled outside what is declared here
 * and the CSS modules that use its variables.
 */

// Lacquer red. Light pages use shade 7 (#9F1D20), dark ones shade 4 (#E5696B).
const lacquer: MantineColorsTuple = [
  "#fcf1f0", "#f8dedd", "#f0bcbb", "#ea9291", "#e5696b", "#c93a3d", "#b4282b", "#9f1d20", "#84171a", "#6b1114",
];

// Warm greys; 6 is the lightest that reads on white and on paper (AA).
const gray: MantineColorsTuple = [
  "#faf9f7", "#f4f2ef", "#e9e6e1", "#dad6cf", "#c3bdb4", "#948d83", "#69635b", "#514c46", "#383430", "#22201d",
];

// Dark pages: 7 the body, 6 a raised surface, 4 hairlines, 0 text, 2 dimmed text.
const dark: MantineColorsTuple = [
  "#eceae6", "#d6d2cc", "#aca69d", "#857f77", "#3d3935", "#322f2b", "#272422", "#1d1b19", "#161413", "#0f0e0d",
];

// The primary action's text: white on deep lacquer, near-black on its light form.
const variantColorResolver: VariantColorsResolver = (input) => {
  const colors = defaultVariantColorsResolver(input);
  const primary = !input.color || input.color === input.theme.primaryColor;
  return primary && input.variant === "filled" ? { ...colors, color: "var(--commsd-on-accent)" } : colors;
};

export const cssVariables: CSSVariablesResolver = () => ({
  variables: {
    "--commsd-rail-width": "220px",
    "--commsd-rail-narrow": "64px",
    "--commsd-header-height": "52px",
    "--commsd-bottom-height": "60px",
    "--commsd-motion": "150ms",
  },
  light: {
    "--mantine-color-body": "#ffffff",
    "--mantine-color-text": "#22201d",
    "--mantine-color-dimmed": "#5f5952",
    "--mantine-color-placeholder": "#69635b",
    "--mantine-color-error": "#a3181b",
    "--mantine-color-anchor": "#8f1a1d",
    "--mantine-color-default-border": "#dad6cf",
    "--commsd-on-accent": "#ffffff",
    "--commsd-accent": "#9f1d20",
    "--commsd-paper": "#faf9f7",
    "--commsd-hairline": "#e4e0da",
    "--commsd-selected": "#f8e9e7",
    "--commsd-hover": "#f4f2ef",
    "--commsd-ok": "#256b3c",
    "--commsd-warn": "#855300",
    "--commsd-bad": "#a3181b",
  },
  dark: {
    // Lighter, not darker: near-black words stand on it.
    "--mantine-primary-color-filled-hover": "#ea9291",
    "--mantine-color-lacquer-filled-hover": "#ea9291",
    "--mantine-color-body": "#1d1b19",
    "--mantine-color-text": "#eceae6",
    "--mantine-color-dimmed": "#b5afa6",
    "--mantine-color-placeholder": "#9d968d",
    "--mantine-color-error": "#f19a9b",
    "--mantine-color-anchor": "#f0a09f",
    "--mantine-color-default-border": "#45403b",
    "--commsd-on-accent": "#1d0d0d",
    "--commsd-accent": "#e5696b",
    "--commsd-paper": "#161413",
    "--commsd-hairline": "#33302c",
    "--commsd-selected": "#3a2423",
    "--commsd-hover": "#272422",
    "--commsd-ok": "#7bc795",
    "--commsd-warn": "#e5b45e",
    "--commsd-bad": "#f19a9b",
  },
});

// A hint stands below its field, so that fields beside each other stand in one line.
const hintBelow = ["label", "input", "description", "error"];

// What floats stands beside what it belongs to: in the same landmark, and in the same dialog, outside of which
// nothing is said. Fixed, so that nothing that scrolls cuts it off; a transform around it would (windows fade).
const inPlace = { withinPortal: false, floatingStrategy: "fixed" };

export const theme = createTheme({
  colors: { lacquer, gray, dark },
  primaryColor: "lacquer",
  primaryShade: { light: 7, dark: 4 },
  black: "#22201d",
  variantColorResolver,
  fontFamily: '"Be Vietnam Pro", system-ui, sans-serif',
  fontSizes: { xs: "12px", sm: "13px", md: "14px", lg: "16px", xl: "18px" },
  lineHeights: { xs: "1.4", sm: "1.45", md: "1.5", lg: "1.5", xl: "1.5" },
  headings: {
    fontFamily: '"Be Vietnam Pro", system-ui, sans-serif',
    fontWeight: "600",
    sizes: {
      h1: { fontSize: "22px", lineHeight: "1.35" },
      h2: { fontSize: "16px", lineHeight: "1.4" },
      h3: { fontSize: "14px", lineHeight: "1.5" },
    },
  },
  spacing: { xs: "8px", sm: "12px", md: "16px", lg: "24px", xl: "32px" },
  radius: { xs: "3px", sm: "4px", md: "6px", lg: "8px", xl: "12px" },
  defaultRadius: "md",
  breakpoints: { xs: "400px", sm: "640px", md: "1024px", lg: "1280px", xl: "1600px" },
  focusRing: "auto",
  cursorType: "pointer",
  respectReducedMotion: true,
  // By name, not by import: the shell does not carry components that only some pages use.
  components: {
    Button: { defaultProps: { fw: 500 } },
    ...Object.fromEntries(["TextInput", "Textarea", "Select", "NumberInput", "PasswordInput"].map((name) => [name, { defaultProps: { inputWrapperOrder: hintBelow } }])),
    Badge: { defaultProps: { tt: "none", fw: 500 } }, // never all capitals: marks suffer
    NavLink: { defaultProps: { variant: "subtle" } },
    Paper: { defaultProps: { withBorder: true } },
    Combobox: { defaultProps: { classNames: { option: combobox.option }, ...inPlace } },
    Notification: { defaultProps: { withBorder: true } },
    // A window's own header is no banner of the page.
    Modal: { defaultProps: { centered: true, transitionProps: { duration: 150, transition: "fade" }, attributes: { header: { role: "none" } } } },
    // The first item has the focus, as the pattern of ARIA has it, not a thing beside the items that is none.
    Menu: { defaultProps: { shadow: "md", transitionProps: { duration: 120 }, withInitialFocusPlaceholder: false } },
    Popover: { defaultProps: { shadow: "md", transitionProps: { duration: 120 }, ...inPlace } },
    Tooltip: { defaultProps: { openDelay: 400, ...inPlace } },
  },
});
