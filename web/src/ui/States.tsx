import { Alert, Button, Group, Skeleton, Stack, Text, Title } from "@mantine/core";
import { IconAlertTriangle, IconRefresh } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import classes from "./States.module.css";

interface EmptyProps {
  title: string;
  /** What to do next. */
  children?: ReactNode;
  icon?: ReactNode;
  action?: ReactNode;
  /** Inside a panel: less air. */
  compact?: boolean;
  /** It is all there is of the page, so its title is the page's. */
  page?: boolean;
}

/** Nothing is here yet, and what to do about it. */
export function EmptyState({ title, children, icon, action, compact = false, page = false }: EmptyProps) {
  return (
    <Stack className={compact ? classes.compact : classes.state} gap="xs">
      {icon && (
        <div className={classes.icon} aria-hidden>
          {icon}
        </div>
      )}
      {compact ? <Text fw={500}>{title}</Text> : <Title order={page ? 1 : 2}>{title}</Title>}
      {children && (
        <Text component="div" c="dimmed" className={classes.words}>
          {children}
        </Text>
      )}
      {action && <Group mt="xs">{action}</Group>}
    </Stack>
  );
}

/** The codes that have words of their own; see api/error.ts. */
const spoken = new Set(["offline", "unavailable", "forbidden", "not_found", "gone", "rate_limited"]);

interface ErrorProps {
  /** The code of an ApiError; any other thing is spoken of in general words. */
  code?: string;
  /** What could not be done, "Chưa tải được danh sách cuộc họp". */
  title?: string;
  /** Instead of the code's own words: what is safe, what to try. */
  text?: ReactNode;
  onRetry?: () => void;
  compact?: boolean;
}

/** What happened, what is safe, what to try; never an exception's text. */
export function ErrorState({ code = "internal", title, text, onRetry, compact = false }: ErrorProps) {
  const { t } = useTranslation("ui");
  const known = spoken.has(code) ? code : "internal";
  // i18n: errors.*.title, errors.*.text
  const retry = onRetry && code !== "forbidden" && code !== "gone";
  return (
    <Alert
      role="alert"
      className={compact ? undefined : classes.alert}
      variant="default"
      icon={<IconAlertTriangle stroke={1.5} color="var(--commsd-warn)" />}
      title={title ?? t(`errors.${known}.title`)}
    >
      <Text component="div">{text ?? t(`errors.${known}.text`)}</Text>
      {retry && (
        <Button mt="sm" size="xs" variant="default" leftSection={<IconRefresh size={16} stroke={1.5} aria-hidden />} onClick={onRetry}>
          {t("retry")}
        </Button>
      )}
    </Alert>
  );
}

/** Lines of a list while it loads: the layout that will stand there. */
export function ListSkeleton({ rows = 4, marks = false }: { rows?: number; marks?: boolean }) {
  const { t } = useTranslation("ui");
  return (
    <Stack gap="sm" role="status" aria-label={t("loading")}>
      {Array.from({ length: rows }, (_, i) => (
        <Group key={i} gap="sm" wrap="nowrap">
          {marks && <Skeleton circle height={36} />}
          <Stack gap={6} flex={1}>
            <Skeleton height={12} width={`${70 - ((i * 17) % 35)}%`} />
            <Skeleton height={10} width={`${45 - ((i * 11) % 20)}%`} />
          </Stack>
        </Group>
      ))}
    </Stack>
  );
}

/** A page while its code or first data load. */
export function PageSkeleton() {
  return (
    <div className={classes.page}>
      <Skeleton height={22} width={180} mb="lg" />
      <ListSkeleton rows={6} />
    </div>
  );
}
