import { queryOptions } from "@tanstack/react-query";
import type { PersonView } from "../lib/names";
import { api, data } from "./client";

/** People whose name, unit or agency matches, folded by the server: "duc" finds "Đức". */
export async function findPeople(q: string, limit = 20, signal?: AbortSignal): Promise<PersonView[]> {
  const answer = await data(api.GET("/api/v1/directory/people", { params: { query: { q, limit } }, signal }));
  return answer.people ?? [];
}

export const peopleQuery = (q: string, limit = 20) =>
  queryOptions({
    queryKey: ["people", q, limit],
    queryFn: ({ signal }) => findPeople(q, limit, signal),
    staleTime: 60_000,
  });
