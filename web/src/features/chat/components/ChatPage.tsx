import { Button } from "@mantine/core";
import { IconMessages, IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { conversationsQuery } from "../../../api/conversations";
import { useSession } from "../../../api/session";
import { usePageTitle } from "../../../lib/title";
import { Page } from "../../../ui/Page";
import { EmptyState } from "../../../ui/States";
import { useChat } from "../current";
import classes from "./ChatPage.module.css";
import { ConversationList } from "./ConversationList";
import { ConversationPane, PaneSkeleton } from "./ConversationPane";
import { titleOf } from "./names";
import { NewChannel } from "./NewChannel";
import { NewDirect } from "./NewDirect";
import { WithPerson } from "./WithPerson";

/** The conversations, and the one that is open. */
export function ChatPage() {
  const { t } = useTranslation("chat");
  const { conversation } = useParams({ strict: false }) as { conversation?: string };
  const { with: person } = useSearch({ strict: false }) as { with?: string };
  const chat = useChat((s) => s.chat);
  const { data: list } = useQuery(conversationsQuery);
  const [dialog, setDialog] = useState<"direct" | "channel" | null>(null);
  const me = useSession().person.id;
  const current = list?.find((c) => c.id === conversation);
  usePageTitle(current ? titleOf(current, me) : t("title"));
  const open = !!(conversation || person);
  const close = () => setDialog(null);
  return (
    <Page full>
      <div className={classes.layout} data-open={open || undefined}>
        <ConversationList current={conversation} onNew={setDialog} />
        <section className={classes.pane} aria-label={t("pane")}>
          {/* Where the conversation takes the list's place, it takes its title along. */}
          <h1 className={`mantine-visually-hidden ${classes.paneTitle}`}>{t("title")}</h1>
          {open && !chat ? (
            <PaneSkeleton />
          ) : conversation && chat ? (
            <ConversationPane key={conversation} id={conversation} chat={chat} />
          ) : person && chat ? (
            <WithPerson key={person} person={person} chat={chat} />
          ) : (
            <EmptyState
              title={list?.length === 0 ? t("empty.title") : t("none.title")}
              icon={<IconMessages size={32} stroke={1.5} />}
              action={
                <Button variant="default" leftSection={<IconPlus size={16} stroke={1.5} aria-hidden />} onClick={() => setDialog("direct")}>
                  {t("new.direct")}
                </Button>
              }
            >
              {list?.length === 0 ? t("empty.text") : t("none.text")}
            </EmptyState>
          )}
        </section>
      </div>
      {dialog === "direct" && <NewDirect onClose={close} />}
      {dialog === "channel" && <NewChannel onClose={close} />}
    </Page>
  );
}
