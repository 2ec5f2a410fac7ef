import { useQuery } from "@tanstack/react-query";
import { Navigate, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { conversationsQuery, otherOf } from "../../../api/conversations";
import { codeOf } from "../../../api/error";
import { useSession } from "../../../api/session";
import { paths } from "../../../lib/paths";
import { PersonMark } from "../../../ui/PersonLine";
import { ErrorState } from "../../../ui/States";
import { personQuery, useCreateConversation } from "../api";
import type { Chat } from "../chat";
import { Composer } from "./Composer";
import { About, Head, PaneSkeleton } from "./ConversationPane";
import classes from "./ConversationPane.module.css";
import logClasses from "./MessageLog.module.css";

/** The direct conversation with a person: the one there is, or a new one, made by its first message. */
export function WithPerson({ person: id, chat }: { person: string; chat: Chat }) {
  const { t } = useTranslation("chat");
  const navigate = useNavigate();
  const me = useSession().person.id;
  const { data: list, error: listError } = useQuery(conversationsQuery);
  const { data: person, error, refetch } = useQuery(personQuery(id));
  const create = useCreateConversation();
  const there = list?.find((c) => otherOf(c, me)?.id === id);
  if (there && !create.isPending) return <Navigate {...paths.conversation(there.id)} replace />;
  if (error && !person) {
    return (
      <div className={classes.trouble}>
        <ErrorState code={codeOf(error)} title={t("person_failed")} onRetry={() => void refetch()} />
      </div>
    );
  }
  if (id === me) {
    return (
      <div className={classes.trouble}>
        <ErrorState code="not_found" title={t("self.title")} text={t("self.text")} />
      </div>
    );
  }
  if (!person || (!list && !listError)) return <PaneSkeleton />;
  const send = async (text: string): Promise<boolean> => {
    try {
      const made = await create.mutateAsync({ kind: "direct", person: id });
      chat.send(made.id, text);
      await navigate({ ...paths.conversation(made.id), replace: true });
      return true;
    } catch {
      return false; // shown above the field
    }
  };
  const code = create.error ? codeOf(create.error) : undefined;
  return (
    <>
      <Head mark={<PersonMark name={person.name} />} title={person.name} below={<About person={person} />} />
      <div className={logClasses.log}>
        <p className={logClasses.nothing}>{t("pane_empty", { name: person.name })}</p>
      </div>
      <Composer
        draft={`chat.${me}.with.${id}`}
        to={person.name}
        maxBytes={chat.maxText}
        busy={create.isPending}
        onSend={send}
        problem={
          code && (
            <ErrorState
              compact
              code={code}
              title={code === "conflict" ? t("no_account.title", { name: person.name }) : t("create_failed")}
              text={code === "conflict" ? t("no_account.text") : undefined}
            />
          )
        }
      />
    </>
  );
}
