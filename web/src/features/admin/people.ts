import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import type { components } from "../../api/schema";
import { dayOf, fromWallClock } from "../../lib/dates";
import { at } from "./api";

type Schemas = components["schemas"];
export type Person = Schemas["DirectoryPerson"];
export type PersonRecord = Schemas["PersonRecord"];
export type Position = Schemas["PositionRecord"];
export type Kind = Position["kind"];
export const kinds: Kind[] = ["main", "concurrent", "acting"];

const pageSize = 100;

/** The people of a unit or of the whole agency, or who of the agency is found. */
export const staffQuery = ({ agency, unit, q }: { agency: string; unit?: string; q?: string }) =>
  infiniteQueryOptions({
    queryKey: ["admin", "staff", agency, unit ?? "", q ?? ""],
    queryFn: async ({ pageParam, signal }): Promise<{ people: Person[]; next?: string }> => {
      if (q) {
        return data(api.GET("/api/v1/directory/people", { params: { query: { q, agency_id: agency, limit: 200 } }, signal }));
      }
      const query = { limit: pageSize, ...(pageParam ? { cursor: pageParam } : {}) };
      if (unit) return data(api.GET("/api/v1/directory/units/{id}/people", { params: { path: { id: unit }, query }, signal }));
      return data(api.GET("/api/v1/directory/agencies/{id}/people", { params: { path: { id: agency }, query }, signal }));
    },
    initialPageParam: "",
    getNextPageParam: (last) => last.next,
  });

export const personRecordQuery = (id: string) =>
  queryOptions({ queryKey: ["admin", "person", id], queryFn: ({ signal }) => data(api.GET("/api/v1/directory/people/{id}/record", { ...at(id), signal })) });

/** What the directory shows of a person: the picture. */
export const cardQuery = (id: string) =>
  queryOptions({ queryKey: ["admin", "card", id], queryFn: ({ signal }) => data(api.GET("/api/v1/directory/people/{id}", { ...at(id), signal })) });

// Who sees what of one person, above what their agency decides.
export type Visibility = Schemas["OwnVisibilityOutputBody"];
export type Override = Schemas["DirectoryOverride"];

export const visibilityQuery = (id: string) =>
  queryOptions({ queryKey: ["admin", "visibility", id], queryFn: ({ signal }) => data(api.GET("/api/v1/directory/people/{id}/visibility", { ...at(id), signal })) });
export const setVisibility = ({ person, set_by_administrator }: { person: string; set_by_administrator: Override[] }) =>
  data(api.PUT("/api/v1/directory/people/{id}/visibility", { ...at(person), body: { set_by_administrator } }));

export const positionsQuery = (id: string) =>
  queryOptions({
    queryKey: ["admin", "positions", id],
    queryFn: async ({ signal }) => (await data(api.GET("/api/v1/directory/people/{id}/positions", { ...at(id), signal }))).positions,
  });

export const addPerson = (body: Schemas["NewPerson"]) => data(api.POST("/api/v1/directory/people", { body }));
export const changePerson = ({ id, ...body }: Schemas["PersonChange"] & { id: string }) => data(api.PATCH("/api/v1/directory/people/{id}", { ...at(id), body }));
export const addPosition = ({ person, ...body }: Schemas["NewPosition"] & { person: string }) =>
  data(api.POST("/api/v1/directory/people/{id}/positions", { ...at(person), body }));
export const changePosition = ({ id, ...body }: Schemas["PositionChange"] & { id: string }) => data(api.PATCH("/api/v1/directory/positions/{id}", { ...at(id), body }));
export const endPosition = async (id: string) => void (await api.DELETE("/api/v1/directory/positions/{id}", at(id)));
export const transfer = ({ person, ...body }: Schemas["Transfer"] & { person: string }) =>
  data(api.POST("/api/v1/directory/people/{id}/transfer", { ...at(person), body }));

/** The first moment of a day in Viet Nam; undefined for an empty field. */
export function fromDay(day: string): string | undefined {
  return day ? fromWallClock(day, "00:00").toISOString() : undefined;
}

/** The end of a last day, which is the first moment of the next; undefined for an empty field. */
export function untilDay(day: string): string | undefined {
  return day ? new Date(fromWallClock(day, "00:00").getTime() + 24 * 3_600_000).toISOString() : undefined;
}

/** The last day before a moment, as date fields hold it. */
export function lastDay(until: string | undefined): string {
  return until ? dayOf(new Date(until).getTime() - 1) : "";
}
