import { queryOptions } from "@tanstack/react-query";
import { api, data } from "./client";

/** What the server says of itself to anyone: its version, and who can sign in to a demo. */
export const infoQuery = queryOptions({
  queryKey: ["info"],
  queryFn: () => data(api.GET("/api/v1/info")),
  staleTime: Infinity,
});
