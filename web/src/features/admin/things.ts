import { queryOptions } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import type { components } from "../../api/schema";
import { at } from "./api";

type Schemas = components["schemas"];

// Meeting rooms and equipment.
export type Resource = Schemas["ResourceRecord"];

export const resourcesQuery = (agency: string) =>
  queryOptions({
    queryKey: ["admin", "resources", agency],
    queryFn: async ({ signal }) => (await data(api.GET("/api/v1/directory/resources", { params: { query: { agency_id: agency } }, signal }))).resources,
  });
export const addResource = (body: Schemas["NewResource"]) => data(api.POST("/api/v1/directory/resources", { body }));
export const changeResource = ({ id, ...body }: Schemas["ResourceChange"] & { id: string }) => data(api.PATCH("/api/v1/directory/resources/{id}", { ...at(id), body }));
export const deleteResource = async (id: string) => void (await api.DELETE("/api/v1/directory/resources/{id}", at(id)));

// Mailboxes of units.
export type Mailbox = Schemas["ServiceMailbox"];
export type MailboxUser = Schemas["ServiceMailboxUser"];

export const mailboxesQuery = (agency: string) =>
  queryOptions({
    queryKey: ["admin", "mailboxes", agency],
    queryFn: async ({ signal }) => (await data(api.GET("/api/v1/directory/service-mailboxes", { params: { query: { agency_id: agency } }, signal }))).mailboxes,
  });
export const addMailbox = (body: Schemas["NewServiceMailbox"]) => data(api.POST("/api/v1/directory/service-mailboxes", { body }));
export const changeMailbox = ({ id, ...body }: Schemas["ServiceMailboxChange"] & { id: string }) => data(api.PATCH("/api/v1/directory/service-mailboxes/{id}", { ...at(id), body }));
export const deleteMailbox = async (id: string) => void (await api.DELETE("/api/v1/directory/service-mailboxes/{id}", at(id)));
export const setMailboxUser = ({ mailbox, ...body }: Schemas["NewServiceMailboxUser"] & { mailbox: string }) =>
  data(api.POST("/api/v1/directory/service-mailboxes/{id}/users", { ...at(mailbox), body }));
export const removeMailboxUser = async ({ mailbox, entry }: { mailbox: string; entry: string }) =>
  void (await api.DELETE("/api/v1/directory/service-mailboxes/{id}/users/{entry}", { params: { path: { id: mailbox, entry } } }));

/** The posts that a person holds now, as everybody sees them. */
export const postsQuery = (person: string) =>
  queryOptions({
    queryKey: ["admin", "posts", person],
    queryFn: async ({ signal }) => (await data(api.GET("/api/v1/directory/people/{id}", { ...at(person), signal }))).positions,
  });

// Roles between agencies.
export type PartnerGrant = Schemas["PartnerGrant"];

export const partnersQuery = (agency: string) =>
  queryOptions({
    queryKey: ["admin", "partners", agency],
    queryFn: async ({ signal }) => (await data(api.GET("/api/v1/directory/partner-grants", { params: { query: { agency_id: agency } }, signal }))).grants,
  });
export const addPartner = (body: Schemas["NewPartnerGrant"]) => data(api.POST("/api/v1/directory/partner-grants", { body }));
export const removePartner = async (id: string) => void (await api.DELETE("/api/v1/directory/partner-grants/{id}", at(id)));
export const assignPartner = ({ grant, person_id }: { grant: string; person_id: string }) =>
  data(api.POST("/api/v1/directory/partner-grants/{id}/people", { ...at(grant), body: { person_id } }));
export const unassignPartner = async ({ grant, entry }: { grant: string; entry: string }) =>
  void (await api.DELETE("/api/v1/directory/partner-grants/{id}/people/{entry}", { params: { path: { id: grant, entry } } }));

// Administrators.
export type AdminGrant = Schemas["DirectoryAdminGrant"];

export const adminsQuery = (agency: string) =>
  queryOptions({
    queryKey: ["admin", "admins", agency],
    queryFn: async ({ signal }) => (await data(api.GET("/api/v1/directory/admin-grants", { params: { query: { agency_id: agency } }, signal }))).grants,
  });
export const addAdmin = (body: Schemas["AddAdminGrantInputBody"]) => data(api.POST("/api/v1/directory/admin-grants", { body }));
export const removeAdmin = async (id: string) => void (await api.DELETE("/api/v1/directory/admin-grants/{id}", at(id)));

// Policies.
export const visibleFields = ["entry", "name", "title", "unit", "agency", "address", "phone", "mobile", "office", "photo"] as const;
export const levels = ["public", "all_agencies", "own_agency", "own_unit", "hidden"] as const;
export type Policy = Schemas["DirectoryPolicy"];
export type Field = keyof Policy["visibility"];
export type Level = Policy["visibility"][Field];

export const policyQuery = (agency: string) =>
  queryOptions({ queryKey: ["admin", "policy", agency], queryFn: ({ signal }) => data(api.GET("/api/v1/directory/agencies/{id}/policy", { ...at(agency), signal })) });
export const setPolicy = ({ agency, ...body }: Policy & { agency: string }) => data(api.PUT("/api/v1/directory/agencies/{id}/policy", { ...at(agency), body }));
