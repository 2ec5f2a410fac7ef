import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { paths } from "../../../lib/paths";
import { usePageTitle } from "../../../lib/title";
import { ErrorState, PageSkeleton } from "../../../ui/States";
import { activeCall, forgetCall } from "../active";
import { meetingQuery } from "../api";
import { isOver } from "../call";
import { useStore } from "../use";
import { CallOver } from "./CallOver";
import { CallRoom } from "./CallRoom";
import { Door } from "./Door";
import { Message } from "./Message";
import classes from "./MeetingPage.module.css";

/** A meeting's own page: its door, the call, and how it ended. */
export function MeetingPage() {
  const { t } = useTranslation("meeting");
  const { id = "" } = useParams({ strict: false }) as { id?: string };
  const active = useStore(activeCall);
  const inside = active.call !== null && active.id === id;
  const { data: meeting, error, refetch } = useQuery({ ...meetingQuery(id), enabled: !inside, refetchInterval: inside ? false : 10_000 });
  usePageTitle((inside ? active.title : meeting?.title) || t("page"));

  if (inside && active.call) return <Stay key={id} />;
  if (meeting && !meeting.ended_at) return <Door key={id} meeting={meeting} />;
  const back = (
    <Button renderRoot={(props) => <Link {...paths.meetings()} {...props} />}>
      {t("door.back")}
    </Button>
  );
  if (meeting?.ended_at) {
    return (
      <Message about={meeting.title} title={t("door.ended")} actions={back}>
        {t("door.endedText")}
      </Message>
    );
  }
  if (codeOf(error) === "not_found" && error) {
    return (
      <Message title={t("door.missing")} actions={back}>
        {t("door.missingText")}
      </Message>
    );
  }
  return (
    <main id="main" className={classes.message}>
      <h1 className="mantine-visually-hidden">{t("door.heading")}</h1>
      {error ? <ErrorState code={codeOf(error)} title={t("door.failed")} onRetry={() => void refetch()} /> : <PageSkeleton />}
    </main>
  );
}

/** The call, or after it what happened. */
function Stay() {
  const { call, id, title, link, maker } = useStore(activeCall);
  if (!call) return null;
  return <Room call={call} id={id} title={title} link={link} maker={maker} />;
}

function Room({ call, id, title, link, maker }: { call: NonNullable<ReturnType<typeof activeCall.get>["call"]>; id: string; title: string; link: string; maker: boolean }) {
  const { phase } = useStore(call.store);
  if (isOver(phase)) return <CallOver id={id} phase={phase} title={title} onAgain={forgetCall} />;
  return <CallRoom call={call} id={id} title={title} link={link} maker={maker} />;
}
