import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, data, raw } from "../../api/client";
import type { components } from "../../api/schema";
import { at } from "./api";

type Schemas = components["schemas"];
export type Import = Schemas["Import"];
export type ImportEntry = Schemas["ImportEntry"];
export type ImportProblem = Schemas["ImportProblem"];
export type EntryKind = ImportEntry["kind"];
export const entryKinds: EntryKind[] = ["add", "change", "move", "leave"];

export const importsQuery = (agency: string) =>
  queryOptions({
    queryKey: ["admin", "imports", agency],
    queryFn: async ({ signal }) => (await data(api.GET("/api/v1/directory/imports", { params: { query: { agency_id: agency } }, signal }))).imports,
  });

/** One import; while it is applied it is asked for again and again, for its progress. */
export const importQuery = (id: string) =>
  queryOptions({
    queryKey: ["admin", "import", id],
    queryFn: ({ signal }) => data(api.GET("/api/v1/directory/imports/{id}", { ...at(id), signal })),
    refetchInterval: (query) => (query.state.data?.state === "applying" ? 700 : false),
  });

const pageSize = 100;

export const entriesQuery = (id: string, kind: EntryKind) =>
  infiniteQueryOptions({
    queryKey: ["admin", "import", id, "entries", kind],
    queryFn: async ({ pageParam, signal }) =>
      (await data(api.GET("/api/v1/directory/imports/{id}/entries", { params: { path: { id }, query: { kind, after: pageParam, limit: pageSize } }, signal }))).entries,
    initialPageParam: 0,
    getNextPageParam: (last) => (last.length === pageSize ? last.at(-1)?.seq : undefined),
  });

/** Compares a list with the agency; nothing changes yet. */
export async function compare({ agency, file }: { agency: string; file: File }): Promise<Import> {
  const query = new URLSearchParams({ agency_id: agency, file_name: file.name });
  const answer = await raw("POST", `/api/v1/directory/imports?${query.toString()}`, { body: file, headers: { "Content-Type": "text/csv" } });
  return (await answer.json()) as Import;
}

export const applyImport = ({ id, override }: { id: string; override: boolean }) =>
  data(api.POST("/api/v1/directory/imports/{id}/apply", { ...at(id), body: { override_leaves: override } }));

/** An empty list with the columns that are understood, as a spreadsheet opens it. */
export function template(): Blob {
  const columns = ["Mã nhân sự", "Họ và tên", "Email", "Chức danh", "Đơn vị", "Loại vị trí", "Điện thoại", "Di động", "Phòng làm việc"];
  return new Blob([`\uFEFF${columns.join(",")}\r\n`], { type: "text/csv" });
}

/** The problems that the pages have words of their own for. */
export const knownProblems = new Set([
  "too_large", "empty", "too_many_rows", "no_rows", "quotes", "column_twice", "column_missing", "too_many_cells", "line_too_long", "control", "mixed", "too_long", "no_name", "no_key", "bad_address", "no_unit",
  "no_title", "bad_kind", "bad_number", "encoding", "unknown_unit", "many_units", "twice", "address_taken", "elsewhere", "kept", "domain", "no_main", "post_twice",
]);

export const knownColumns = new Set(["external_key", "full_name", "email", "title", "unit", "seniority", "phone", "mobile", "office", "concurrent", "acting"]);
