import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import type { components } from "../../api/schema";

export type Person = components["schemas"]["DirectoryPerson"];
/** What a person does not show to the reader is empty. */
export type Card = components["schemas"]["DirectoryCard"];

/** Whose people the list shows: those found, or those of one place; by itself, the colleagues. A unit or a group stands beside its agency. */
export interface Choice {
  q?: string;
  unit?: string;
  agency?: string;
  group?: string;
}

export const cardQuery = (id: string) =>
  queryOptions({
    queryKey: ["directory", "card", id],
    queryFn: ({ signal }) => data(api.GET("/api/v1/directory/people/{id}", { params: { path: { id } }, signal })),
    staleTime: 60_000,
  });

export const pageSize = 50;

/** Page by page; a search has one page, of those who match best. */
export const peopleOf = ({ q, unit, agency, group }: Choice) =>
  infiniteQueryOptions({
    queryKey: ["directory", "people", q ?? "", unit ?? "", agency ?? "", group ?? ""],
    queryFn: async ({ pageParam, signal }): Promise<{ people: Person[]; next?: string }> => {
      const query = { limit: pageSize, ...(pageParam ? { cursor: pageParam } : {}) };
      if (q || (!unit && !agency)) return data(api.GET("/api/v1/directory/people", { params: { query: { q, limit: pageSize } }, signal }));
      if (group) {
        const { members, next } = await data(api.GET("/api/v1/directory/groups/{id}/members", { params: { path: { id: group }, query }, signal }));
        return { people: members.map((m) => m.person), ...(next && { next }) };
      }
      if (unit) return data(api.GET("/api/v1/directory/units/{id}/people", { params: { path: { id: unit }, query }, signal }));
      return data(api.GET("/api/v1/directory/agencies/{id}/people", { params: { path: { id: agency ?? "" }, query }, signal }));
    },
    initialPageParam: "",
    getNextPageParam: (last) => last.next,
    staleTime: 60_000,
  });

/** Opens a meeting now with one person invited; its id. */
export async function callPerson(title: string, person: string): Promise<string> {
  return (await data(api.POST("/api/v1/meetings", { body: { title, invite: [person] } }))).id;
}
