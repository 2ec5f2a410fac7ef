import { Skeleton } from "@mantine/core";
import { IconFileOff } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Navigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { useSession } from "../../../api/session";
import { paths } from "../../../lib/paths";
import { Page } from "../../../ui/Page";
import { EmptyState, ErrorState, ListSkeleton } from "../../../ui/States";
import { newId } from "../letter";
import { startLetter, type About } from "../start";
import { Composer } from "./Composer";
import { Folders, WriteButton } from "./Folders";
import classes from "./Mail.module.css";

/** A letter being written. Its id stands in the address bar, so that a reload finds it again. */
export function ComposePage() {
  const { draft } = useParams({ strict: false }) as { draft?: string };
  const about = useSearch({ strict: false }) as About;
  const [fresh] = useState(newId);
  if (!draft) {
    const wish = Object.values(about).some(Boolean) ? about : { new: "1" };
    return <Navigate {...paths.compose({ draft: fresh })} search={wish as never} replace />;
  }
  return (
    <Page full>
      <div className={classes.layout} data-writing="">
        <Folders current="" />
        <Opening key={draft} id={draft} about={about} />
      </div>
    </Page>
  );
}

function Opening({ id, about }: { id: string; about: About }) {
  const { t } = useTranslation("mail");
  const client = useQueryClient();
  const { person } = useSession();
  // What the letter began with; when the server has it the address bar forgets.
  const [wish] = useState(about);
  const start = useQuery({
    // Not under "mail": what is being typed is not read again when mail changes.
    queryKey: ["mail-compose", id],
    queryFn: () => startLetter(client, id, wish, person.address ? [person.address] : [], t),
    staleTime: Infinity,
    gcTime: 0,
    refetchOnWindowFocus: false,
  });
  if (start.data) return <Composer id={id} start={start.data} />;
  return (
    <section className={classes.compose} aria-label={t("compose")}>
      <h1 className="mantine-visually-hidden">{t("compose")}</h1>
      <div className={classes.tools}>
        <Skeleton height={32} width={240} visible={start.isPending} />
      </div>
      <div className={classes.scroll}>
        {start.isError ? (
          <ErrorState
            code={codeOf(start.error)} title={codeOf(start.error) === "not_found" ? t("reading.gone") : t("write.openFailed")}
            onRetry={() => void start.refetch()}
          />
        ) : start.isPending ? (
          <ListSkeleton rows={6} />
        ) : (
          <EmptyState title={t("write.gone")} icon={<IconFileOff size={36} stroke={1.5} />} action={<WriteButton />}>
            {t("write.goneHint")}
          </EmptyState>
        )}
      </div>
    </section>
  );
}
