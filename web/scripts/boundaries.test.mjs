// The direction of imports is a rule of the house: this proves that ESLint really
// refuses what goes against it, and lets pass what goes with it.
import path from "node:path";
import { ESLint } from "eslint";
import { expect, it } from "vitest";

const root = path.join(import.meta.dirname, "..");
const eslint = new ESLint({ cwd: root });

async function refused(file, target) {
  const [result] = await eslint.lintText(`import "${target}";\n`, { filePath: path.join(root, file) });
  return result.messages.some((m) => m.fatal || m.ruleId === "boundaries/dependencies");
}

it.each([
  ["src/features/today/api.ts", "../directory/api"],
  ["src/features/today/api.ts", "../../app/router"],
  ["src/features/today/api.ts", "../../testing/server"],
  ["src/lib/paths.ts", "../app/nav"],
  ["src/lib/paths.ts", "../features/today/api"],
  ["src/lib/paths.ts", "../api/client"],
  ["src/ui/States.tsx", "../api/error"],
  ["src/ui/States.tsx", "../app/Brand"],
  ["src/api/client.ts", "../ui/theme"],
  ["src/api/client.ts", "../features/today/api"],
  ["src/main.tsx", "./features/today/api"],
  ["src/features/directory/directory.test.tsx", "../today/api"],
])("refuses that %s imports %s", { timeout: 30_000 }, async (file, target) => {
  expect(await refused(file, target)).toBe(true);
});

it.each([
  ["src/features/today/TodayPage.tsx", "./api"],
  ["src/features/directory/components/PeopleList.tsx", "../api"],
  ["src/features/directory/directory.test.tsx", "../../testing/server"],
  ["src/features/today/api.ts", "../../api/client"],
  ["src/api/client.ts", "../lib/paths"],
  ["src/ui/States.tsx", "../lib/title"],
  ["src/app/router.tsx", "../features/today/index"],
  ["src/testing/setup.ts", "../app/features"],
])("lets %s import %s", { timeout: 30_000 }, async (file, target) => {
  expect(await refused(file, target)).toBe(false);
});
