import { Button, Skeleton, Text, Title } from "@mantine/core";
import { IconAlertTriangle, IconClock, IconCopy, IconShieldCheck } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { codeOf } from "../../../api/error";
import { ErrorState } from "../../../ui/States";
import { toast } from "../../../ui/toast";
import { treeQuery } from "../api";
import { formatSecond } from "../words";
import classes from "./AuditPage.module.css";

/** After this an event should long be signed. */
const late = 60_000;

/** How far the tree is and whether all is signed, drawn and in words. */
export function TreeState() {
  const { t, i18n } = useTranslation("audit");
  const { data: tree, error, refetch, dataUpdatedAt } = useQuery(treeQuery);
  const number = (n: number) => n.toLocaleString(i18n.language);
  if (error && !tree) return <ErrorState compact code={codeOf(error)} title={t("tree.failed")} onRetry={() => void refetch()} />;
  if (!tree) return <Skeleton height={220} />;
  const head = tree.checkpoint;
  const signed = head?.size ?? 0;
  const unsigned = tree.size - signed + tree.backlog;
  const waits = !!tree.waiting_since && dataUpdatedAt - new Date(tree.waiting_since).getTime() > late;
  const state = tree.broken ? "broken" : waits ? "stuck" : unsigned > 0 ? "behind" : "sound";
  const StateIcon = state === "sound" ? IconShieldCheck : state === "behind" ? IconClock : IconAlertTriangle;
  const colour = { sound: "var(--commsd-ok)", behind: "var(--mantine-color-dimmed)", stuck: "var(--commsd-warn)", broken: "var(--commsd-bad)" }[state];
  const keep = async () => {
    try {
      await navigator.clipboard.writeText(head?.note ?? "");
      toast.show({ message: t("tree.kept") });
    } catch {
      toast.show({ color: "red", message: t("tree.keepFailed") });
    }
  };
  // i18n: tree.soundText, tree.behindText, tree.stuckText, tree.brokenText
  return (
    <section className={classes.panel} aria-labelledby="audit-tree">
      <Title order={2} id="audit-tree">
        {t("tree.title")}
      </Title>
      <p className={classes.verdict} style={{ color: colour }}>
        <StateIcon size={20} stroke={1.5} aria-hidden />
        <strong>{t(`tree.${state}`)}</strong>
      </p>
      <Text c="dimmed">{t(`tree.${state}Text`, { count: unsigned, at: tree.waiting_since ? formatSecond(tree.waiting_since) : "" })}</Text>
      <Drawing size={tree.size} colour={colour} />
      <dl className={classes.numbers}>
        <div>
          <dt>{t("tree.size")}</dt>
          <dd className="tabular">{number(tree.size)}</dd>
        </div>
        <div>
          <dt>{t("tree.signed")}</dt>
          <dd className="tabular">{number(signed)}</dd>
        </div>
        <div>
          <dt>{t("tree.backlog")}</dt>
          <dd className="tabular">{number(tree.backlog)}</dd>
        </div>
        {head && (
          <div>
            <dt>{t("tree.signedAt")}</dt>
            <dd className="tabular">{formatSecond(head.at)}</dd>
          </div>
        )}
      </dl>
      {head ? (
        <Button variant="default" size="xs" leftSection={<IconCopy size={16} stroke={1.5} aria-hidden />} onClick={() => void keep()}>
          {t("tree.keep")}
        </Button>
      ) : (
        <Text c="dimmed">{t("tree.empty")}</Text>
      )}
    </section>
  );
}

/** The complete subtrees of a tree of that many leaves, largest first: the binary digits of its size. */
export function subtrees(size: number): number[] {
  const levels: number[] = [];
  for (let level = Math.floor(Math.log2(Math.max(size, 1))); level >= 0; level--) {
    if (Math.floor(size / 2 ** level) % 2 === 1) levels.push(level);
  }
  return levels;
}

/** The tree as it stands: each complete subtree a triangle, as high as it is deep, under the one head that is signed. */
function Drawing({ size, colour }: { size: number; colour: string }) {
  const { t } = useTranslation("audit");
  const levels = subtrees(size);
  if (levels.length === 0) return null;
  const gap = 6;
  const step = 5;
  const widths = levels.map((level) => 8 + level * 7);
  const total = widths.reduce((sum, w) => sum + w + gap, -gap);
  const top = 24;
  const height = top + 8 + Math.max(...levels) * step;
  const triangles = levels.map((level, i) => {
    const left = widths.slice(0, i).reduce((sum, w) => sum + w + gap, 0);
    const peak = height - 8 - level * step;
    return { left, right: left + (widths[i] ?? 0), middle: left + (widths[i] ?? 0) / 2, peak };
  });
  return (
    <svg className={classes.drawing} viewBox={`-4 -2 ${total + 8} ${height + 4}`} role="img" aria-label={t("tree.drawn", { count: levels.length })}>
      {triangles.map((s) => (
        <g key={s.left}>
          <line x1={total / 2} y1={8} x2={s.middle} y2={s.peak} className={classes.edge} />
          <polygon points={`${s.left},${height} ${s.right},${height} ${s.middle},${s.peak}`} className={classes.subtree} />
        </g>
      ))}
      <circle cx={total / 2} cy={6} r={5} className={classes.root} style={{ color: colour }} />
    </svg>
  );
}
