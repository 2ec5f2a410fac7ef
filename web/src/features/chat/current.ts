import { useSyncExternalStore } from "react";
import { create } from "zustand";
import type { Chat, View } from "./chat";

/** The signed-in person's chat; null for the moment until it has started. */
export const useChat = create<{ chat: Chat | null }>()(() => ({ chat: null }));

/** A conversation as it now is. */
export function useView(chat: Chat, conversation: string): View {
  return useSyncExternalStore(chat.subscribe, () => chat.view(conversation));
}

const never = () => () => {};

/** Something in a conversation is not sent yet. */
export function useWaiting(conversation: string): boolean {
  const chat = useChat((s) => s.chat);
  return useSyncExternalStore(chat?.subscribe ?? never, () => !!chat?.view(conversation).outgoing.some((o) => !o.sent));
}
