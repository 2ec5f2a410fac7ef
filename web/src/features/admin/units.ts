import type { Unit } from "../../api/directory";
import type { TreeRow } from "../../ui/TreeView";

export interface FlatUnit {
  unit: Unit;
  name: string;
  /** Names from the agency's root down to it. */
  trail: string;
  /** Ids from the root down to it, each between slashes, as administrative roles name it. */
  path: string;
  parent: string;
  siblings: Unit[];
}

type Lang = "vi" | "en";
export const unitName = (u: { name: string; name_en: string }, lang: Lang) => (lang === "en" && u.name_en ? u.name_en : u.name);

/** All units of an agency, each where it stands. */
export function flat(units: Unit[], lang: Lang): FlatUnit[] {
  const out: FlatUnit[] = [];
  const walk = (list: Unit[], trail: string, path: string, parent: string) => {
    for (const unit of list) {
      const name = unitName(unit, lang);
      const here = { unit, name, trail: trail ? `${trail} › ${name}` : name, path: `${path}${unit.id}/`, parent, siblings: list };
      out.push(here);
      walk(unit.units, here.trail, here.path, unit.id);
    }
  };
  walk(units, "", "/", "");
  return out;
}

export interface UnitRow extends TreeRow {
  unit?: Unit;
  people?: number;
}

/** The tree of one agency: itself at the top, its units below; all stand open unless they were closed. */
export function unitRows(agency: { name: string; people: number }, units: Unit[], closed: ReadonlySet<string>, lang: Lang): UnitRow[] {
  const rows: UnitRow[] = [{ key: "", name: agency.name, people: agency.people, level: 1, open: units.length > 0 ? !closed.has("") : undefined, at: 1, of: 1 }];
  const walk = (list: Unit[], level: number) => {
    list.forEach((unit, i) => {
      const open = unit.units.length > 0 ? !closed.has(unit.id) : undefined;
      rows.push({ key: unit.id, unit, name: unitName(unit, lang), people: unit.people, level, open, at: i + 1, of: list.length });
      if (open) walk(unit.units, level + 1);
    });
  };
  if (!closed.has("")) walk(units, 2);
  return rows;
}

/** The siblings' ids with one moved by a place up (-1) or down (1); undefined when it stands at that end. */
export function moved(siblings: Unit[], id: string, by: -1 | 1): string[] | undefined {
  const ids = siblings.map((u) => u.id);
  const i = ids.indexOf(id);
  const other = ids[i + by];
  if (i < 0 || other === undefined) return undefined;
  ids[i + by] = id;
  ids[i] = other;
  return ids;
}
