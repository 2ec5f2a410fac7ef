import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, data, raw } from "../../api/client";
import type { components } from "../../api/schema";

export type Delegation = components["schemas"]["DirectoryDelegation"];
export type Scope = Delegation["scopes"][number];
export type Factors = components["schemas"]["DirectoryFactors"];
export type Passkey = components["schemas"]["DirectoryPasskey"];
export type Program = components["schemas"]["Program"];
export type Account = components["schemas"]["DirectoryAccount"];
export type AppPassword = components["schemas"]["DirectoryAppPassword"];
export type AppScope = AppPassword["scopes"][number];
export type SessionEntry = components["schemas"]["DirectorySessionEntry"];

/** Says that somebody works in this session. */
export const noteActivity = () => api.POST("/api/v1/sessions/current/activity");

/** Opens a locked session, and makes an open one fresh. */
export const unlock = (proof: { password?: string; passkey?: unknown }) => api.POST("/api/v1/sessions/current/unlock", { body: proof });

/** What the browser asks this account's passkeys with. */
export const unlockOptions = async (): Promise<unknown> => (await data(api.POST("/api/v1/sessions/current/unlock/passkey"))).options;

export const accountQuery = queryOptions({
  queryKey: ["account", "profile"],
  queryFn: () => data(api.GET("/api/v1/account")),
});

export function useUpdateAccount() {
  const client = useQueryClient();
  return useMutation({
    meta: { inline: true },
    mutationFn: (change: { phone?: string; mobile?: string; office?: string }) => data(api.PATCH("/api/v1/account", { body: change })),
    onSuccess: (account) => client.setQueryData(accountQuery.queryKey, account),
  });
}

// Who sees what of oneself.
export type OwnVisibility = components["schemas"]["OwnVisibilityOutputBody"];
export type VisibleField = keyof OwnVisibility["effective"];
export type Level = OwnVisibility["effective"][VisibleField];

export const ownVisibilityQuery = queryOptions({
  queryKey: ["account", "visibility"],
  queryFn: () => data(api.GET("/api/v1/account/visibility")),
});
export const setOwnVisibility = (own: { field: VisibleField; level: Level }[]) => data(api.PUT("/api/v1/account/visibility", { body: { own } }));

export const setPhoto = (picture: Blob) => raw("PUT", "/api/v1/account/photo", { body: picture, headers: { "Content-Type": "application/octet-stream" } });
export const removePhoto = () => api.DELETE("/api/v1/account/photo");

export const changePassword = (current: string, fresh: string) => api.POST("/api/v1/account/password", { body: { current, new: fresh } });

export const setOutsideAddress = (address: string) => api.PUT("/api/v1/account/outside-address", { body: { address } });
export const confirmOutsideAddress = (code: string) => api.POST("/api/v1/account/outside-address/confirm", { body: { code } });
export const removeOutsideAddress = () => api.DELETE("/api/v1/account/outside-address");

export const factorsQuery = queryOptions({
  queryKey: ["account", "factors"],
  queryFn: () => data(api.GET("/api/v1/account/factors")),
});

export const beginTotp = () => data(api.POST("/api/v1/account/totp"));
export const confirmTotp = (code: string) => api.POST("/api/v1/account/totp/confirm", { body: { code } });
export const removeTotp = () => api.DELETE("/api/v1/account/totp");
export const newRecoveryCodes = async () => (await data(api.POST("/api/v1/account/recovery-codes"))).codes;
export const passkeyCreation = async (): Promise<unknown> => (await data(api.POST("/api/v1/account/passkeys/options"))).options;
export const addPasskey = (name: string, credential: unknown) =>
  data(api.POST("/api/v1/account/passkeys", { body: { name, credential } }));
export const renamePasskey = (id: string, name: string) => api.PATCH("/api/v1/account/passkeys/{id}", { params: { path: { id } }, body: { name } });
export const removePasskey = (id: string) => api.DELETE("/api/v1/account/passkeys/{id}", { params: { path: { id } } });

export const appPasswordsQuery = queryOptions({
  queryKey: ["account", "app-passwords"],
  queryFn: async () => (await data(api.GET("/api/v1/account/app-passwords"))).app_passwords,
});
export const programsQuery = queryOptions({
  queryKey: ["account", "programs"],
  staleTime: Infinity,
  queryFn: async () => (await data(api.GET("/api/v1/account/programs"))).programs,
});
export const makeAppPassword = (name: string, scopes: AppScope[]) => data(api.POST("/api/v1/account/app-passwords", { body: { name, scopes } }));
export const endAppPassword = (id: string) => api.DELETE("/api/v1/account/app-passwords/{id}", { params: { path: { id } } });

export const sessionsQuery = queryOptions({
  queryKey: ["account", "sessions"],
  staleTime: 0,
  queryFn: async () => (await data(api.GET("/api/v1/account/sessions"))).sessions,
});
export const endSession = (id: string) => api.DELETE("/api/v1/account/sessions/{id}", { params: { path: { id } } });
export const endOtherSessions = () => api.DELETE("/api/v1/account/sessions");

export const delegationsQuery = queryOptions({
  queryKey: ["account", "delegations"],
  queryFn: () => data(api.GET("/api/v1/account/delegations")),
});

export function useLend() {
  const client = useQueryClient();
  return useMutation({
    meta: { inline: true },
    mutationFn: (body: components["schemas"]["LendInputBody"]) => data(api.POST("/api/v1/account/delegations", { body })),
    onSuccess: () => client.invalidateQueries({ queryKey: delegationsQuery.queryKey }),
  });
}

export function useEndDelegation() {
  const client = useQueryClient();
  return useMutation({
    meta: { inline: true },
    mutationFn: (id: string) => api.DELETE("/api/v1/account/delegations/{id}", { params: { path: { id } } }),
    onSuccess: () => client.invalidateQueries({ queryKey: delegationsQuery.queryKey }),
  });
}
