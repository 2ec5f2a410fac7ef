import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { raw } from "../../api/client";
import type { PersonView } from "../../lib/names";
import type { Admission } from "./call";

/** A meeting as one person sees it. */
export interface Meeting {
  id: string;
  title: string;
  link: string;
  /** Absent when no time was named: it began when it was made. */
  starts_at?: string;
  created_at: string;
  created_by: PersonView;
  ended_at?: string;
  past: boolean;
  relation: "maker" | "invited" | "joined" | "none";
  /** How many people are in the room right now, as far as the server knows. */
  present: number;
}

export interface MeetingDetail extends Omit<Meeting, "present"> {
  people: { person: PersonView; relation: string }[];
  /** Who is in the room right now, as far as the server knows. */
  inside: PersonView[];
}

export interface Draft {
  title: string;
  starts_at?: string;
  invite?: string[];
}

async function send<T>(method: "GET" | "POST", path: string, body?: unknown): Promise<T> {
  const response = await raw(method, path, {
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
  });
  return (await response.json()) as T;
}

const place = (id: string, more = "") => `/api/v1/meetings/${encodeURIComponent(id)}${more}`;

export const meetingsQuery = queryOptions({
  queryKey: ["meetings"],
  queryFn: async () => (await send<{ meetings: Meeting[] }>("GET", "/api/v1/meetings")).meetings,
});

export const meetingQuery = (id: string) =>
  queryOptions({ queryKey: ["meetings", id], queryFn: () => send<MeetingDetail>("GET", place(id)), staleTime: 5_000 });

/** A person of the directory, for a link that names one to invite. */
export const personQuery = (id: string) =>
  queryOptions({
    queryKey: ["people", "card", id],
    queryFn: () => send<PersonView>("GET", `/api/v1/directory/people/${encodeURIComponent(id)}`),
  });

/** Names this load of the page, so that one person may sit in a meeting twice without putting herself out. */
const tab = Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => (b % 36).toString(36)).join("");

export function admit(id: string): Promise<Admission> {
  return send<Admission>("POST", place(id, "/join"), { tab });
}

function useMeetingsChange<In, Out>(change: (input: In) => Promise<Out>, inline: boolean) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    meta: { inline },
    onSuccess: () => client.invalidateQueries({ queryKey: meetingsQuery.queryKey }),
  });
}

export const useCreateMeeting = () => useMeetingsChange((draft: Draft) => send<Meeting>("POST", "/api/v1/meetings", draft), true);

export const useInvite = (id: string) =>
  useMeetingsChange((people: string[]) => send<{ invited: string[] }>("POST", place(id, "/invitations"), { people }), true);

export const useEndMeeting = (id: string) => useMeetingsChange(() => send<Meeting>("POST", place(id, "/end")), false);
