import type { Agency } from "../../../api/directory";
import type { PersonRecord } from "../people";

export function AccountPart({ person }: { person: PersonRecord; agency: Agency }) {
  return person.has_account ? null : null;
}
