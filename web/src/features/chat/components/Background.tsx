import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { useSession } from "../../../api/session";
import { Chat } from "../chat";
import { useChat } from "../current";

/** Keeps the socket while somebody is signed in. */
export default function Background() {
  const { person } = useSession();
  const queryClient = useQueryClient();
  const { id, name } = person;
  useEffect(() => {
    const url = new URL("/api/v1/chat/socket", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const chat = new Chat({ person: { id, name }, queryClient, url: url.href });
    chat.start();
    useChat.setState({ chat });
    return () => {
      useChat.setState({ chat: null });
      chat.stop();
    };
  }, [id, name, queryClient]);
  return null;
}
