import { ActionIcon, Alert, Button, FileButton, Group, Modal, Text, TextInput, Textarea, Tooltip } from "@mantine/core";
import { IconAlertTriangle, IconCloudUpload, IconPaperclip, IconSend, IconTrash, IconX } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState, type DragEvent, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";
import { ApiError, codeOf } from "../../../api/error";
import { keepDraft } from "../../../lib/draft";
import { paths, type Place } from "../../../lib/paths";
import { usePageTitle } from "../../../lib/title";
import { toast } from "../../../ui/toast";
import { changeMessages, copyPart, mailboxesQuery, refreshMail, removeUpload, saveDraft, sendLetter, summaryQuery } from "../api";
import { doneFiles, useFiles, type FileItem } from "../files";
import { Keeper, type Safety } from "../keeper";
import { addEntries, doubts, readAddress, splitEntries, wrongEntries, type Letter } from "../letter";
import { draftKey, type Start, type Written } from "../start";
import { FileItems } from "./FileItems";
import classes from "./Mail.module.css";
import { Recipients } from "./Recipients";
import { SafetyLine } from "./SafetyLine";
import { Look, Undo } from "./Undo";

type Field = "to" | "cc" | "bcc";
const fields = ["to", "cc", "bcc"] as const;
const nothingTyped = { to: "", cc: "", bcc: "" };

/** The form of a letter. What is typed is safe at any moment: in this tab at once, at the server soon. */
export function Composer({ id, start }: { id: string; start: Start }) {
  const { t } = useTranslation("mail");
  const navigate = useNavigate();
  const client = useQueryClient();
  const search = useSearch({ strict: false });
  const summary = useQuery(summaryQuery);
  const limit = summary.data?.upload_limit;
  const [letter, setLetter] = useState<Letter>(start.letter);
  const [typed, setTyped] = useState(nothingTyped);
  const [shown, setShown] = useState({ cc: start.letter.cc.length > 0, bcc: start.letter.bcc.length > 0 });
  const [safety, setSafety] = useState<Safety>({ state: "clean" });
  const [state, setState] = useState<"writing" | "sending">("writing");
  const [problem, setProblem] = useState<{ field?: Field; text: string }>();
  const [asking, setAsking] = useState<("noSubject" | "noFile")[]>([]);
  const [over, setOver] = useState(0);
  const files = useFiles(start.files, limit);
  const done = doneFiles(files.items);
  const about = start.about;
  const title = letter.subject.trim() || t(start.letter.answers ? "write.reply" : "compose");
  usePageTitle(title);

  // The keeper lives as long as the page; its first save takes the wishes out of the address bar.
  const keeper = useRef<Keeper<Written>>(undefined);
  const keptAtServer = useRef(start.kept);
  const wishes = useRef(Object.keys(search).length > 0);
  useEffect(() => {
    const k = new Keeper<Written>({
      keepHere: (w) => keepDraft(draftKey(id), w),
      save: async (w) => {
        await saveDraft(id, sendable(w));
        if (!keptAtServer.current) void refreshMail(client); // the drafts are one more
        keptAtServer.current = true;
        if (!wishes.current) return;
        wishes.current = false;
        await navigate({ ...paths.compose({ draft: id }), search: {} as never, replace: true });
      },
      onChange: setSafety,
    });
    keeper.current = k;
    if (start.unsaved) k.change({ letter: start.letter, files: start.files });
    return () => k.stop();
    // eslint-disable-next-line react-hooks/exhaustive-deps -- one for the letter's whole life
  }, [id]);

  // A forwarded message's files come along.
  useEffect(() => {
    for (const c of start.copies) files.bring(`${c.message}/${c.part}`, c.name, c.size, () => copyPart(c.message, c.part));
    // eslint-disable-next-line react-hooks/exhaustive-deps -- once
  }, []);

  /** With what stands half typed in the fields, so that a reload keeps it, too. */
  const whole = (l: Letter, half: typeof typed): Letter => {
    const out = { ...l };
    for (const f of fields) out[f] = addEntries(l[f], splitEntries(half[f]));
    return out;
  };
  const change = (next: Partial<Letter>, half = typed) => {
    const l = { ...letter, ...next };
    setLetter(l);
    setTyped(half);
    setProblem(undefined);
    keeper.current?.change({ letter: whole(l, half), files: done });
  };
  // Files come and go by themselves; each time the draft is another.
  const fileIds = done.map((f) => f.id).join();
  const knownFiles = useRef(start.files.map((f) => f.id).join());
  useEffect(() => {
    if (fileIds === knownFiles.current) return;
    knownFiles.current = fileIds;
    keeper.current?.change({ letter: whole(letter, typed), files: done });
    // eslint-disable-next-line react-hooks/exhaustive-deps -- text changes go through change
  }, [fileIds]);

  const after: Place = about ? paths.message(about.mailbox, about.id) : start.kept ? paths.mailbox("drafts") : paths.mail();

  const send = async (sure = false) => {
    if (state === "sending") return;
    const l = whole(letter, typed);
    setLetter(l);
    setTyped(nothingTyped);
    const wrong = fields.find((f) => wrongEntries(l[f]).length > 0);
    if (wrong) return setProblem({ field: wrong, text: t("write.wrong", { address: readAddress(wrongEntries(l[wrong])[0] ?? "").address }) });
    if (l.to.length + l.cc.length + l.bcc.length === 0) return setProblem({ field: "to", text: t("write.nobody") });
    if (files.busy) return setProblem({ text: t("write.filesBusy") });
    if (files.items.some((i) => i.state === "failed")) return setProblem({ text: t("write.filesFailed") });
    const asked = doubts(l, done.length);
    if (asked.length > 0 && !sure) return setAsking(asked);
    setAsking([]);
    setProblem(undefined);
    setState("sending");
    const k = keeper.current;
    try {
      // The draft stands at the server before it is sent: sending takes it away, so that trying again sends nothing twice.
      k?.change({ letter: l, files: done });
      await k?.flush();
      await k?.pause();
      await sendLetter(id, sendable({ letter: l, files: done }));
    } catch (err) {
      k?.resume();
      setState("writing");
      setProblem(refused(err, l));
      return;
    }
    keepDraft(draftKey(id), undefined);
    void refreshMail(client);
    await navigate({ ...after, replace: true });
    const note = `mail-sent-${id}`;
    const look = () => {
      toast.hide(note);
      void navigate(paths.mailbox("sent"));
    };
    toast.show({ id: note, title: t("sent.title"), message: <Look place={paths.mailbox("sent")} label={t("sent.look")} onFollow={look} /> });
  };

  const refused = (err: unknown, l: Letter): { field?: Field; text: string } => {
    const detail = err instanceof ApiError ? err.detail : "";
    const colon = detail.indexOf(": ");
    const address = detail.slice(0, colon).toLowerCase();
    const field = colon > 0 ? fields.find((f) => l[f].some((e) => readAddress(e).address.toLowerCase() === address)) : undefined;
    if (field) return { field, text: t("write.unknown", { address }) };
    switch (codeOf(err)) {
      case "offline":
      case "unavailable":
        return { text: t("write.offline") };
      case "gone":
        return { text: t("write.sentAlready") };
      case "too_large":
        return { text: t("write.tooLarge") };
      case "forbidden":
        return { text: t("write.noAddress") };
      default:
        return { text: t("write.failed") };
    }
  };

  const discard = async () => {
    const k = keeper.current;
    await k?.pause();
    keepDraft(draftKey(id), undefined);
    await navigate({ ...after, replace: true });
    if (!keptAtServer.current) return;
    const inDrafts = client.getQueryData(mailboxesQuery.queryKey)?.find((b) => b.role === "drafts")?.id;
    try {
      await changeMessages([id], { delete: true });
    } catch {
      return; // still among the drafts: nothing is lost
    } finally {
      void refreshMail(client);
    }
    const note = `mail-undo-${id}`;
    const undo = () => {
      toast.hide(note);
      void changeMessages([id], { mailbox: inDrafts }).then(() => {
        void refreshMail(client);
        void navigate(paths.compose({ draft: id }));
      });
    };
    toast.show({
      id: note, title: t("write.discarded"), autoClose: 10_000,
      message: <Undo subject={letter.subject || t("noSubject")} onUndo={undo} />,
    });
  };

  const removeFile = (item: FileItem) => {
    files.remove(item);
    if (item.state === "done") removeUpload(item.file.id).catch(() => {}); // it goes with the draft at the latest
  };

  const dropped = (e: DragEvent) => {
    setOver(0);
    if (e.dataTransfer.files.length === 0) return;
    e.preventDefault();
    files.add([...e.dataTransfer.files]);
  };
  // i18n: doubt.noSubject, doubt.noFile
  const hasFiles = (e: DragEvent) => e.dataTransfer.types.includes("Files");

  const onKeyDown = (e: KeyboardEvent) => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey) && !e.nativeEvent.isComposing) {
      e.preventDefault();
      void send();
    }
  };
  const recipients = (field: Field, label: string, begin = false) => (
    <Recipients
      label={label} value={letter[field]} typed={typed[field]} error={problem?.field === field ? problem.text : undefined} begin={begin}
      onChange={(value, half) => change({ [field]: value }, { ...typed, [field]: half })}
    />
  );

  return (
    <section className={`${classes.compose} ${classes.over}`} aria-labelledby="compose-title">
      <h1 className="mantine-visually-hidden" id="compose-title">
        {title}
      </h1>
      <div className={classes.tools} role="toolbar" aria-label={t("tools")}>
        <Tooltip label={t("write.sendKey")}>
          <Button leftSection={<IconSend size={18} stroke={1.5} aria-hidden />} loading={state === "sending"} onClick={() => void send()}>
            {t("send")}
          </Button>
        </Tooltip>
        <FileButton onChange={(chosen) => files.add(chosen)} multiple inputProps={{ "aria-label": t("files.choose"), tabIndex: -1 }}>
          {(props) => (
            <Button {...props} variant="default" leftSection={<IconPaperclip size={18} stroke={1.5} aria-hidden />}>
              {t("files.add")}
            </Button>
          )}
        </FileButton>
        <SafetyLine safety={safety} />
        <span className={classes.spread} />
        <Tooltip label={t("write.discard")}>
          <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t("write.discard")} onClick={() => void discard()}>
            <IconTrash size={20} stroke={1.5} aria-hidden />
          </ActionIcon>
        </Tooltip>
        <Tooltip label={t("write.close")}>
          <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t("write.close")} renderRoot={(props) => <Link {...after} {...props} />}>
            <IconX size={20} stroke={1.5} aria-hidden />
          </ActionIcon>
        </Tooltip>
      </div>
      {/* Files may be dropped or pasted anywhere; the button does the same for the keyboard. */}
      {/* eslint-disable-next-line jsx-a11y/no-static-element-interactions */}
      <div
        className={classes.scroll} onKeyDown={onKeyDown}
        onDragEnter={(e) => hasFiles(e) && setOver(over + 1)} onDragLeave={(e) => hasFiles(e) && setOver(Math.max(0, over - 1))}
        onDragOver={(e) => hasFiles(e) && e.preventDefault()} onDrop={dropped}
        onPaste={(e) => {
          if (e.clipboardData.files.length === 0) return;
          e.preventDefault();
          files.add([...e.clipboardData.files]);
        }}
      >
        <div className={classes.fields}>
          {problem && !problem.field && (
            <Alert role="alert" variant="default" icon={<IconAlertTriangle stroke={1.5} color="var(--commsd-warn)" />} title={t("write.notSent")}>
              {problem.text}
            </Alert>
          )}
          <div className={classes.addressees}>
            {recipients("to", t("to"), !start.letter.answers && start.letter.to.length === 0)}
            <div className={classes.more}>
              {!shown.cc && (
                <Button variant="subtle" color="gray" size="compact-sm" onClick={() => setShown({ ...shown, cc: true })}>
                  {t("write.showCc")}
                </Button>
              )}
              {!shown.bcc && (
                <Button variant="subtle" color="gray" size="compact-sm" onClick={() => setShown({ ...shown, bcc: true })}>
                  {t("write.showBcc")}
                </Button>
              )}
            </div>
          </div>
          {shown.cc && recipients("cc", t("cc"), letter.cc.length === 0)}
          {shown.bcc && recipients("bcc", t("bcc"), letter.bcc.length === 0)}
          <TextInput
            label={t("subject")} value={letter.subject} maxLength={400} onChange={(e) => change({ subject: e.currentTarget.value })}
          />
          <Textarea
            label={t("text")} autosize minRows={12} value={letter.text} ref={start.letter.answers && !start.unsaved ? beginAbove : undefined}
            onChange={(e) => change({ text: e.currentTarget.value })}
          />
          <FileItems items={files.items} limit={limit} onRemove={removeFile} />
        </div>
      </div>
      {over > 0 && (
        <div className={classes.drop}>
          <IconCloudUpload size={36} stroke={1.5} aria-hidden />
          {t("files.drop")}
        </div>
      )}
      <Modal opened={asking.length > 0} onClose={() => setAsking([])} title={t("doubt.title")}>
        {asking.map((d) => (
          <Text key={d}>{t(`doubt.${d}`)}</Text>
        ))}
        <Group justify="flex-end" mt="lg">
          <Button variant="default" onClick={() => setAsking([])}>
            {t("doubt.back")}
          </Button>
          <Button onClick={() => void send(true)} data-autofocus>
            {t("doubt.send")}
          </Button>
        </Group>
      </Modal>
    </section>
  );

  function sendable({ letter: l, files: list }: Written) {
    return { ...l, uploads: list.map((f) => f.id) };
  }
}

/** An answer is written above what it quotes. */
function beginAbove(field: HTMLTextAreaElement | null): void {
  if (!field || field.dataset["begun"]) return;
  field.dataset["begun"] = "1";
  field.focus();
  field.setSelectionRange(0, 0);
  field.scrollTop = 0;
}

