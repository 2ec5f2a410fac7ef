import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import type { components } from "../../api/schema";
import { query, type Question } from "./question";

export type AuditEvent = components["schemas"]["AuditEvent"];
export type AuditPerson = components["schemas"]["AuditPerson"];
export type AuditAgency = components["schemas"]["AuditAgency"];
export type Proof = components["schemas"]["AuditProof"];
export type Day = components["schemas"]["AuditDay"];

const pageSize = 100;

/** Newest first, page by page. Each question is recorded, so none is asked again unasked. */
export const eventsOf = (question: Question) =>
  infiniteQueryOptions({
    queryKey: ["audit", "events", query(question)],
    queryFn: ({ pageParam, signal }) =>
      data(api.GET("/api/v1/audit/events", { params: { query: { ...query(question), limit: pageSize, ...(pageParam ? { cursor: pageParam } : {}) } }, signal })),
    initialPageParam: "",
    getNextPageParam: (last) => last.next,
    staleTime: 60_000,
    refetchOnWindowFocus: false,
  });

export const eventQuery = (id: string) =>
  queryOptions({
    queryKey: ["audit", "event", id],
    queryFn: ({ signal }) => data(api.GET("/api/v1/audit/events/{id}", { params: { path: { id } }, signal })),
    // One that waits is in the signed tree a moment later.
    refetchInterval: (q) => (["waiting", "appended"].includes(q.state.data?.proof.state ?? "") ? 2000 : false),
    refetchOnWindowFocus: false,
  });

export const treeQuery = queryOptions({
  queryKey: ["audit", "tree"],
  queryFn: ({ signal }) => data(api.GET("/api/v1/audit/tree", { signal })),
  // Whoever looks at the log is recorded in it: that, too, is soon signed.
  refetchInterval: ({ state: { data: tree } }) => (tree && (tree.backlog > 0 || tree.size > (tree.checkpoint?.size ?? 0)) ? 2000 : 10_000),
});

export const activityOf = (question: Question) =>
  queryOptions({
    queryKey: ["audit", "activity", query(question)],
    queryFn: async ({ signal }) => (await data(api.GET("/api/v1/audit/activity", { params: { query: query(question) }, signal }))).days,
    staleTime: 60_000,
    refetchOnWindowFocus: false,
  });
