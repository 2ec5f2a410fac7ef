import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import type { components } from "../../api/schema";
import { fold } from "../../lib/fold";
import { at } from "./api";
import type { Person } from "./people";

type Schemas = components["schemas"];
export type Member = Schemas["GroupMember"];

export const membersQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: ["admin", "group", id, "members"],
    queryFn: ({ pageParam, signal }) =>
      data(api.GET("/api/v1/directory/groups/{id}/members", { params: { path: { id }, query: { limit: 100, ...(pageParam && { cursor: pageParam }) } }, signal })),
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
  });

export const addGroup = (body: Schemas["NewGroup"]) => data(api.POST("/api/v1/directory/groups", { body }));
export const changeGroup = ({ id, ...body }: Schemas["GroupChange"] & { id: string }) => data(api.PATCH("/api/v1/directory/groups/{id}", { ...at(id), body }));
export const deleteGroup = async (id: string) => void (await api.DELETE("/api/v1/directory/groups/{id}", at(id)));
export const addMember = ({ group, ...body }: Schemas["NewGroupMember"] & { group: string }) => data(api.POST("/api/v1/directory/groups/{id}/members", { ...at(group), body }));
export const removeMember = async ({ group, entry }: { group: string; entry: string }) =>
  void (await api.DELETE("/api/v1/directory/groups/{id}/members/{entry}", { params: { path: { id: group, entry } } }));

/** How many people a preview reads at most. */
const previewMost = 1000;

/** Who would be in a group by a rule that is not saved yet. */
export const previewQuery = (agency: string, unit: string, titles: string[]) =>
  queryOptions({
    queryKey: ["admin", "preview", agency, unit, titles],
    queryFn: async ({ signal }): Promise<{ people: Person[]; whole: boolean }> => {
      const looked = titles.map(fold);
      const people: Person[] = [];
      let read = 0;
      let cursor: string | undefined;
      do {
        const query = { limit: 200, ...(cursor && { cursor }) };
        const page = unit
          ? await data(api.GET("/api/v1/directory/units/{id}/people", { params: { path: { id: unit }, query }, signal }))
          : await data(api.GET("/api/v1/directory/agencies/{id}/people", { params: { path: { id: agency }, query }, signal }));
        people.push(...page.people.filter((p) => looked.length === 0 || looked.some((l) => fold(p.title).startsWith(l))));
        read += page.people.length;
        cursor = page.next;
      } while (cursor && read < previewMost);
      return { people, whole: !cursor };
    },
    staleTime: 60_000,
  });
