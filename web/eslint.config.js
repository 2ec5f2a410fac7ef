import js from "@eslint/js";
import boundaries from "eslint-plugin-boundaries";
import jsxA11y from "eslint-plugin-jsx-a11y";
import reactHooks from "eslint-plugin-react-hooks";
import globals from "globals";
import tseslint from "typescript-eslint";

/** One kind of folder and the kinds it may import from. */
const flow = (from, ...to) => ({ from: { element: { type: from } }, allow: { to: { element: { types: { anyOf: to } } } } });

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
      ],
      "boundaries/files": [
        { category: "test", pattern: "src/**/*.test.{ts,tsx}" },
        { category: "main", pattern: "src/main.tsx" },
      ],
    },
    rules: {
      ...reactHooks.configs.recommended.rules,
      "boundaries/no-unknown-files": "error",
      "boundaries/dependencies": [
        "error",
        {
          default: "disallow",
          message: "imports flow lib, ui, api → features → app; features never import each other",
          policies: [
            flow("lib", "lib"),
            flow("ui", "ui", "lib"),
            flow("api", "api", "lib"),
            flow("feature", "lib", "ui", "api"),
            {
              from: { element: { type: "feature" } },
              allow: { to: { element: { type: "feature", captured: { feature: "{{from.element.captured.feature}}" } } } },
            },
            flow("app", "lib", "ui", "api", "feature", "app"),
            { from: { file: { categories: "main" } }, allow: { to: { element: { types: { anyOf: ["lib", "ui", "app"] } } } } },
            // What renders a page for tests knows the whole of it; a test may use that, and is else bound like its neighbours.
            flow("testing", "lib", "ui", "api", "feature", "app", "testing"),
            { from: { file: { categories: "test" } }, allow: { to: { element: { type: "testing" } } } },
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
        { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: "foreign HTML is cleaned by the server and shown in a sandboxed frame" },
        { selector: "JSXAttribute[name.name='data-testid']", message: "tests find things by role and label" },
      ],
    },
  },
  { files: ["e2e/**/*.ts"], languageOptions: { globals: { ...globals.node, ...globals.browser } } },
);
