import { queryOptions } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import type { components } from "../../api/schema";
import { at } from "./api";

type Schemas = components["schemas"];
export type Account = Schemas["DirectoryPersonAccount"];
export type Code = Schemas["MakeCodeOutputBody"];

export const accountQuery = (person: string) =>
  queryOptions({ queryKey: ["admin", "account", person], queryFn: ({ signal }) => data(api.GET("/api/v1/directory/people/{id}/account", { ...at(person), signal })) });

export const createAccount = (person: string) => data(api.POST("/api/v1/directory/people/{id}/account", at(person)));
export const makeCode = ({ person, ...body }: { person: string; send?: boolean; end_app_passwords?: boolean }): Promise<Code> =>
  data(api.POST("/api/v1/directory/people/{id}/codes", { ...at(person), body }));

/** What is done to an account in one step, with a reason for the log where it takes one. */
export type Step = "disable" | "enable" | "endSessions" | "removeFactors" | "newPassword";

export async function takeStep({ person, step, reason }: { person: string; step: Step; reason: string }): Promise<void> {
  switch (step) {
    case "disable":
      await api.POST("/api/v1/directory/people/{id}/disable", { ...at(person), body: { reason } });
      return;
    case "enable":
      await api.POST("/api/v1/directory/people/{id}/enable", { ...at(person), body: { reason } });
      return;
    case "endSessions":
      await api.DELETE("/api/v1/directory/people/{id}/sessions", at(person));
      return;
    case "removeFactors":
      await api.DELETE("/api/v1/directory/people/{id}/factors", at(person));
      return;
    case "newPassword":
      await api.POST("/api/v1/directory/people/{id}/require-new-password", at(person));
      return;
  }
}
