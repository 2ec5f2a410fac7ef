import { queryOptions } from "@tanstack/react-query";
import { api, data } from "./client";
import type { components } from "./schema";

export type Agency = components["schemas"]["DirectoryAgency"];
export type Unit = components["schemas"]["DirectoryUnit"];

export const agenciesQuery = queryOptions({
  queryKey: ["directory", "agencies"],
  queryFn: async ({ signal }) => (await data(api.GET("/api/v1/directory/agencies", { signal }))).agencies,
  staleTime: 5 * 60_000,
});

/** The units of one agency: asked for when it is opened. */
export const unitsQuery = (agency: string) =>
  queryOptions({
    queryKey: ["directory", "units", agency],
    queryFn: async ({ signal }) => (await data(api.GET("/api/v1/directory/agencies/{id}/units", { params: { path: { id: agency } }, signal }))).units,
    staleTime: 5 * 60_000,
  });

export type Group = components["schemas"]["GroupRecord"];

/** The groups of one agency. */
export const groupsQuery = (agency: string) =>
  queryOptions({
    queryKey: ["directory", "groups", agency],
    queryFn: async ({ signal }) => (await data(api.GET("/api/v1/directory/groups", { params: { query: { agency_id: agency } }, signal }))).groups,
    staleTime: 5 * 60_000,
  });

/** The units from the agency down to one of them; undefined when it is not there. */
export function trailTo(units: Unit[], id: string): Unit[] | undefined {
  for (const u of units) {
    if (u.id === id) return [u];
    const under = trailTo(u.units, id);
    if (under) return [u, ...under];
  }
  return undefined;
}
