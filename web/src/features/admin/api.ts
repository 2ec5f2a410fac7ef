import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import type { components } from "../../api/schema";

type Schemas = components["schemas"];
export type AgencyRecord = Schemas["AgencyRecord"];
export type UnitRecord = Schemas["UnitRecord"];

/** One thing's id in a path. */
export const at = (id: string) => ({ params: { path: { id } } });

/** Something that is done; what the pages show is asked for anew after it. Its error is shown where it was begun. */
export function useAct<V, R>(mutationFn: (input: V) => Promise<R>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn, meta: { inline: true },
    onSuccess: () => Promise.all([client.invalidateQueries({ queryKey: ["admin"] }), client.invalidateQueries({ queryKey: ["directory"] })]),
  });
}

export const agencyRecordQuery = (id: string) =>
  queryOptions({ queryKey: ["admin", "agency", id], queryFn: ({ signal }) => data(api.GET("/api/v1/directory/agencies/{id}", { ...at(id), signal })) });

export const addAgency = (body: Schemas["NewAgency"]) => data(api.POST("/api/v1/directory/agencies", { body }));
export const changeAgency = ({ id, ...body }: Schemas["AgencyChange"] & { id: string }) => data(api.PATCH("/api/v1/directory/agencies/{id}", { ...at(id), body }));

export const unitRecordQuery = (id: string) =>
  queryOptions({ queryKey: ["admin", "unit", id], queryFn: ({ signal }) => data(api.GET("/api/v1/directory/units/{id}", { ...at(id), signal })) });

export const addUnit = (body: Schemas["NewUnit"]) => data(api.POST("/api/v1/directory/units", { body }));
export const changeUnit = ({ id, ...body }: Schemas["UnitChange"] & { id: string }) => data(api.PATCH("/api/v1/directory/units/{id}", { ...at(id), body }));
export const deleteUnit = async (id: string) => void (await api.DELETE("/api/v1/directory/units/{id}", at(id)));

/** Puts siblings into this order; only those whose rank changes are written. */
export async function orderUnits(ids: string[]): Promise<void> {
  const records = await Promise.all(ids.map((id) => data(api.GET("/api/v1/directory/units/{id}", at(id)))));
  for (const [i, r] of records.entries()) {
    const rank = (i + 1) * 10;
    if (r.rank !== rank) await changeUnit({ id: r.id, rank, version: r.version });
  }
}
