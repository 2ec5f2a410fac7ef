import { trailTo, type Agency, type Group, type Unit } from "../../api/directory";
import { fold, matches } from "../../lib/fold";
import type { TreeRow } from "../../ui/TreeView";

/** What of an agency's units is known. */
export type Units = Unit[] | "wait" | "failed";

/** A line of the tree: an agency, a unit, or a word about units that are not there. */
export interface Row extends TreeRow {
  kind: "agency" | "unit" | "groups" | "group" | "wait" | "failed";
  agency: Agency;
  unit?: Unit;
  group?: Group;
  /** undefined: not counted. */
  people?: number;
}

export interface Tree {
  agencies: Agency[];
  /** Asked only for agencies that are open. */
  unitsOf: (agency: string) => Units;
  /** Likewise; none until they have come. */
  groupsOf: (agency: string) => Group[];
  /** What the line above an agency's groups is called. */
  groupsName: string;
  /** What the reader opened (true) and closed (false), by key. */
  touched: Record<string, boolean>;
  /** What is open unless the reader closed it: what leads to their own unit and to the chosen one. */
  open: ReadonlySet<string>;
  filter: string;
  lang: "vi" | "en";
}

/** Agencies with at most so many units stand open below them: they are seen at a glance. */
const small = 40;

export const agencyKey = (id: string) => `a:${id}`;
export const unitKey = (id: string) => `u:${id}`;
export const groupsKey = (agency: string) => `gs:${agency}`;
export const groupKey = (id: string) => `g:${id}`;

const nameOf = (p: Agency | Unit | Group, lang: Tree["lang"]) => (lang === "en" && p.name_en ? p.name_en : p.name);

/** The lines that the tree shows, from top to bottom. A filter lists the agencies it finds one under the other. */
export function rowsOf(tree: Tree): Row[] {
  const { agencies, touched, open, lang } = tree;
  const filter = tree.filter.trim();
  const rows: Row[] = [];
  const known = new Set(agencies.map((a) => a.id));
  const below = new Map<string, Agency[]>();
  for (const a of agencies) {
    const parent = filter || !a.parent_id || !known.has(a.parent_id) ? "" : a.parent_id;
    const siblings = below.get(parent);
    if (siblings) siblings.push(a);
    else below.set(parent, [a]);
  }
  const addUnits = (agency: Agency, units: Unit[], level: number, all: boolean, after: number) => {
    units.forEach((unit, i) => {
      const key = unitKey(unit.id);
      const stands = unit.units.length > 0 ? (touched[key] ?? (all || open.has(key))) : undefined;
      rows.push({ key, kind: "unit", agency, unit, name: nameOf(unit, lang), people: unit.people, level, open: stands, at: i + 1, of: units.length + after });
      if (stands) addUnits(agency, unit.units, level + 1, all, 0);
    });
  };
  const addAgencies = (list: Agency[], level: number, before: number, after = 0) => {
    list.forEach((agency, i) => {
      const key = agencyKey(agency.id);
      const children = below.get(agency.id) ?? [];
      const stands = touched[key] ?? (!filter && open.has(key));
      rows.push({ key, kind: "agency", agency, name: nameOf(agency, lang), people: agency.people, level, open: stands, at: before + i + 1, of: before + list.length + after });
      if (!stands) return;
      const units = tree.unitsOf(agency.id);
      const groups = tree.groupsOf(agency.id);
      const last = groups.length > 0 ? 1 : 0; // the line of the groups
      if (units === "wait" || units === "failed") {
        rows.push({ key: `${key}:${units}`, kind: units, agency, name: "", people: 0, level: level + 1, at: 1, of: 1 + children.length + last });
        addAgencies(children, level + 1, 1, last);
      } else {
        addUnits(agency, units, level + 1, countOf(units) <= small, children.length + last);
        addAgencies(children, level + 1, units.length, last);
      }
      if (last === 0) return;
      const own = groupsKey(agency.id);
      const shown = touched[own] ?? open.has(own);
      const of = (Array.isArray(units) ? units.length : 1) + children.length + 1;
      rows.push({ key: own, kind: "groups", agency, name: tree.groupsName, level: level + 1, open: shown, at: of, of });
      if (!shown) return;
      groups.forEach((group, n) => rows.push({ key: groupKey(group.id), kind: "group", agency, group, name: nameOf(group, lang), level: level + 2, at: n + 1, of: groups.length }));
    });
  };
  addAgencies(filter ? agencies.filter((a) => matchesAgency(filter, a)) : (below.get("") ?? []), 1, 0);
  return rows;
}

/** Whether words begin those of an agency's names, or its identifier begins with them. */
export function matchesAgency(filter: string, a: Agency): boolean {
  return fold(a.identifier).startsWith(fold(filter)) || matches(filter, a.name, a.name_en, a.short_name);
}

function countOf(units: Unit[]): number {
  return units.reduce((n, u) => n + 1 + countOf(u.units), 0);
}

/** The keys of what must be open for an agency, or one of its units or groups, to be seen. */
export function opensFor(agencies: Agency[], { agency, unit, group }: { agency?: string; unit?: string; group?: string }, units: Units): string[] {
  if (!agency) return [];
  const byID = new Map(agencies.map((a) => [a.id, a]));
  const keys: string[] = [];
  for (let a = byID.get(agency), steps = 0; a && steps < 20; a = a.parent_id ? byID.get(a.parent_id) : undefined, steps++) keys.push(agencyKey(a.id));
  if (unit && Array.isArray(units)) keys.push(...(trailTo(units, unit) ?? []).slice(0, -1).map((u) => unitKey(u.id)));
  if (group) keys.push(groupsKey(agency));
  return keys;
}
