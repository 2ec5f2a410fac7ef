import js from "@eslint/js";
import boundaries from "eslint-plugin-boundaries";
import jsxA11y from "eslint-plugin-jsx-a11y";
import reactHooks from "eslint-plugin-react-hooks";
import globals from "globals";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist", "node_modules", "src/api/schema.d.ts", "artifacts"] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  { files: ["**/*.{js,mjs,cjs}"], languageOptions: { globals: globals.node }, rules: { "@typescript-eslint/no-require-imports": "off" } },
  {
    files: ["src/**/*.{ts,tsx}"],
    languageOptions: {
      globals: globals.browser,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    plugins: { boundaries, "react-hooks": reactHooks },
    extends: [jsxA11y.flatConfigs.recommended],
    settings: {
      "import/resolver": { typescript: { project: "tsconfig.json" } },
      "boundaries/include": ["src/**/*"],
      "boundaries/elements": [
        { type: "app", pattern: "src/app" },
        { type: "feature", pattern: "src/features/*", capture: ["feature"] },
        { type: "api", pattern: "src/api" },
        { type: "ui", pattern: "src/ui" },
        { type: "lib", pattern: "src/lib" },
        { type: "testing", pattern: "src/testing" },
        { type: "main", pattern: "src/main.tsx", mode: "full" },
      ],
    },
    rules: {
      ...reactHooks.configs.recommended.rules,
      "boundaries/no-unknown-files": "error",
      "boundaries/element-types": [
        "error",
        {
          default: "disallow",
          message: "imports flow lib, ui, api → features → app; features never import each other",
          rules: [
            { from: "lib", allow: ["lib"] },
            { from: "ui", allow: ["ui", "lib"] },
            { from: "api", allow: ["api", "lib"] },
            { from: "feature", allow: ["lib", "ui", "api", ["feature", { feature: "${from.feature}" }]] },
            { from: "app", allow: ["lib", "ui", "api", "feature", "app"] },
            { from: "main", allow: ["lib", "ui", "app"] },
            { from: "testing", allow: ["lib", "ui", "api", "testing"] },
          ],
        },
      ],
      "no-console": "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "no-restricted-syntax": [
        "error",
        { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: "clean foreign HTML with DOMPurify and show it in a sandboxed frame" },
        { selector: "JSXAttribute[name.name='data-testid']", message: "tests find things by role and label" },
      ],
    },
  },
  {
    // A test may build its page with what is in testing; the rest of the direction holds.
    files: ["src/**/*.test.{ts,tsx}", "src/testing/**"],
    rules: { "boundaries/element-types": "off" },
  },
  { files: ["e2e/**/*.ts"], languageOptions: { globals: { ...globals.node, ...globals.browser } } },
);
