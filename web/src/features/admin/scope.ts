import type { Session } from "../../api/session";

export type Grant = Session["grants"][number];
export type Role = Grant["role"];

/** The sections in the order of the menu, each with the roles that may work there. The server decides; this is what is offered. */
export const sections = {
  units: ["system_admin", "agency_admin"],
  people: ["system_admin", "agency_admin", "security_admin"],
  groups: ["system_admin", "agency_admin"],
  resources: ["system_admin", "agency_admin"],
  mailboxes: ["system_admin", "agency_admin"],
  imports: ["system_admin", "agency_admin"],
  partners: ["system_admin", "agency_admin"],
  admins: ["system_admin", "agency_admin"],
  policies: ["system_admin", "agency_admin", "security_admin"],
} as const satisfies Record<string, readonly Role[]>;

export type Section = keyof typeof sections;
export const sectionNames = Object.keys(sections) as Section[];

export function isSection(name: string | undefined): name is Section {
  return name !== undefined && name in sections;
}

const administrative: readonly Role[] = ["system_admin", "agency_admin", "security_admin"];

/** The agencies that a person administers: all of them ("all"), or these. */
export function agenciesOf(grants: Grant[]): "all" | Set<string> {
  const held = grants.filter((g) => administrative.includes(g.role));
  return held.some((g) => !g.agency_id) ? "all" : new Set(held.map((g) => g.agency_id));
}

/** Whether one of these roles holds in an agency: in all of it, or in a part of it. */
export function holds(grants: Grant[], roles: readonly Role[], agency: string | undefined): boolean {
  return grants.some((g) => roles.includes(g.role) && (!g.agency_id || g.agency_id === agency));
}

/** Whether one of these roles holds at a unit, which is named by its path; the agency itself has the path "". */
export function holdsAt(grants: Grant[], roles: readonly Role[], agency: string, path: string): boolean {
  return grants.some((g) => roles.includes(g.role) && (!g.agency_id || (g.agency_id === agency && path.startsWith(g.unit_path))));
}
