import { ActionIcon, Anchor, Badge, Button, CopyButton, Group, Skeleton, Stack, Text, Title, Tooltip } from "@mantine/core";
import { IconArrowLeft, IconCalendarPlus, IconCheck, IconCopy, IconMail, IconMessage, IconUser, IconVideo } from "@tabler/icons-react";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useRouter } from "@tanstack/react-router";
import { Fragment } from "react";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { useSession } from "../../../api/session";
import { paths, type Place } from "../../../lib/paths";
import { photoOf } from "../../../lib/photo";
import { AgencySeal } from "../../../ui/AgencySeal";
import { PersonMark } from "../../../ui/PersonLine";
import { EmptyState, ErrorState } from "../../../ui/States";
import { callPerson, cardQuery, type Card, type Choice } from "../api";
import { telephone } from "../telephone";
import { kept } from "./PeopleList";
import classes from "./DirectoryPage.module.css";

/** One person: name, positions, agency, and the ways to reach them. */
export function PersonCard({ id, choice }: { id?: string; choice: Choice }) {
  const { t } = useTranslation("directory");
  const { data: card, error, refetch } = useQuery({ ...cardQuery(id ?? ""), enabled: !!id });
  if (!id) {
    return (
      <EmptyState title={t("card.none")} icon={<IconUser size={32} stroke={1.5} />}>
        {t("card.noneHint")}
      </EmptyState>
    );
  }
  return (
    <Stack gap="md">
      <Button
        className={classes.back} variant="subtle" color="gray" size="compact-md" w="fit-content" ml={-8}
        leftSection={<IconArrowLeft size={16} stroke={1.5} aria-hidden />}
        renderRoot={(props) => <Link to="/directory" search={kept(choice) as never} activeOptions={{ exact: true }} {...props} />}
      >
        {t("card.back")}
      </Button>
      {card ? (
        <Known card={card} />
      ) : error ? (
        <ErrorState compact code={codeOf(error)} title={codeOf(error) === "not_found" ? t("card.unknown") : t("card.failed")} onRetry={() => void refetch()} />
      ) : (
        <CardSkeleton />
      )}
    </Stack>
  );
}

function Known({ card }: { card: Card }) {
  const { t } = useTranslation("directory");
  return (
    <article>
      <Group gap="md" wrap="nowrap" align="flex-start" mb="md">
        <PersonMark name={card.name} photo={photoOf(card)} size={72} />
        <div style={{ minWidth: 0 }}>
          <Title order={2}>{card.name}</Title>
          {card.title && <Text>{[card.title, card.unit].filter(Boolean).join(", ")}</Text>}
          {card.agency_name && (
            <Text component="div" c="dimmed">
              <AgencySeal name={card.agency_name} short={card.agency_name} whole />
            </Text>
          )}
        </div>
      </Group>
      <Actions card={card} />
      <Contact card={card} />
      {card.positions.length > 0 && (
        <section>
          <Title order={3} mt="lg" mb={4}>
            {t("card.positions")}
          </Title>
          <Stack component="ul" gap="xs" m={0} p={0} style={{ listStyle: "none" }}>
            {card.positions.map((p) => (
              <li key={p.id}>
                <Group gap="xs">
                  <Text>{p.title}</Text>
                  {p.kind !== "main" && (
                    <Badge variant="default" size="sm">
                      {t(`kind.${p.kind}`)}
                    </Badge>
                  )}
                </Group>
                <Text size="sm" c="dimmed">
                  <Anchor c="inherit" renderRoot={(props) => <Link {...paths.directory({ agency: p.agency_id, unit: p.unit_id })} {...props} />}>
                    {p.unit}
                  </Anchor>
                  {" · "}
                  {p.agency_name}
                </Text>
              </li>
            ))}
          </Stack>
        </section>
      )}
    </article>
  );
}

/** How to reach them: what they show to the reader, and nothing of the rest. */
function Contact({ card }: { card: Card }) {
  const { t } = useTranslation("directory");
  const lines = [
    { key: "address", value: card.address, href: "" },
    { key: "phone", value: card.phone, href: telephone(card.phone) },
    { key: "mobile", value: card.mobile, href: telephone(card.mobile) },
    { key: "office", value: card.office, href: "" },
  ] as const;
  const shown = lines.filter((l) => l.value);
  if (shown.length === 0) return null;
  return (
    <section>
      <Title order={3} mt="lg" mb={4}>
        {t("card.contact")}
      </Title>
      <dl className={classes.contact}>
        {shown.map(({ key, value = "", href }) => (
          <Fragment key={key}>
            <dt>{t(`contact.${key}`)}</dt>
            <dd>
              {href ? <Anchor href={href} inherit c="inherit" underline="always">{value}</Anchor> : <span>{value}</span>}
              {key !== "office" && <Copy value={value} name={t(`contact.${key}`)} />}
            </dd>
          </Fragment>
        ))}
      </dl>
    </section>
  );
}

function Copy({ value, name }: { value: string; name: string }) {
  const { t } = useTranslation("directory");
  return (
    <CopyButton value={value} timeout={2000}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? t("copy.done") : t("copy.do", { name })} opened={copied || undefined}>
          <ActionIcon variant="subtle" color="gray" aria-label={t("copy.do", { name })} onClick={copy}>
            {copied ? <IconCheck size={16} stroke={1.5} color="var(--commsd-ok)" aria-hidden /> : <IconCopy size={16} stroke={1.5} aria-hidden />}
            <span className="mantine-visually-hidden" role="status">
              {copied && t("copy.done")}
            </span>
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}

/** What one can do from here; a capability that is not installed is not offered, and nobody calls themselves. */
function Actions({ card }: { card: Card }) {
  const { t } = useTranslation("directory");
  const navigate = useNavigate();
  const session = useSession();
  const routes = useRouter().routesByPath as Record<string, unknown>;
  const call = useMutation({
    mutationFn: () => callPerson(t("call.title", { from: session.person.name, to: card.name }), card.id),
    meta: { inline: true },
    onSuccess: (id) => void navigate(paths.meeting(id)),
  });
  const offered = (place: Place) => place.to in routes;
  const other = card.id !== session.person.id;
  const chat = paths.chatWith(card.id);
  const meet = paths.meetWith(card.id);
  const write = paths.compose({ to: card.address });
  if (!other) return <Text c="dimmed">{t("card.self")}</Text>;
  return (
    <>
      <Group gap="xs">
        {offered(chat) && (
          <Button px="sm" leftSection={<IconMessage size={18} stroke={1.5} aria-hidden />} renderRoot={(props) => <Link {...(chat as object)} {...props} />}>
            {t("action.chat")}
          </Button>
        )}
        {offered(meet) && (
          <Button
            px="sm" variant={offered(chat) ? "default" : "filled"} leftSection={<IconVideo size={18} stroke={1.5} aria-hidden />}
            loading={call.isPending} onClick={() => call.mutate()}
          >
            {t("action.call")}
          </Button>
        )}
        {offered(meet) && (
          <Button
            px="sm" variant="default" leftSection={<IconCalendarPlus size={18} stroke={1.5} aria-hidden />}
            renderRoot={(props) => <Link {...(meet as object)} {...props} />}
          >
            {t("action.meet")}
          </Button>
        )}
        {card.address && offered(write) && (
          <Button
            px="sm" variant="default" leftSection={<IconMail size={18} stroke={1.5} aria-hidden />}
            renderRoot={(props) => <Link {...(write as object)} {...props} />}
          >
            {t("action.mail")}
          </Button>
        )}
      </Group>
      {call.isError && <ErrorState compact code={codeOf(call.error)} title={t("call.failed")} onRetry={() => call.mutate()} />}
    </>
  );
}

function CardSkeleton() {
  const { t } = useTranslation("directory");
  return (
    <Group gap="md" wrap="nowrap" role="status" aria-label={t("card.loading")}>
      <Skeleton circle height={72} />
      <Stack gap={8} flex={1}>
        <Skeleton height={16} width="60%" />
        <Skeleton height={12} width="80%" />
        <Skeleton height={12} width="40%" />
      </Stack>
    </Group>
  );
}
