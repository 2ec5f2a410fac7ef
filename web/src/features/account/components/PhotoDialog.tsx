import { Button, FileButton, Group, Modal, Slider, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { moved, squareOf, wholeCrop, within, maxZoom, type Crop } from "../crop";
import classes from "./PhotoDialog.module.css";
import { Problem } from "./Problem";

interface Props {
  /** Sends the picture that was cut out. */
  save: (picture: Blob) => Promise<unknown>;
  onClose: () => void;
}

const side = 512;

/** A new photo: chosen, moved and enlarged in a square frame by pointer or keys, seen as others will see it, sent. */
export function PhotoDialog({ save, onClose }: Props) {
  const { t } = useTranslation("account");
  const [picture, setPicture] = useState<ImageBitmap | null>(null);
  const [unreadable, setUnreadable] = useState(false);
  const [crop, setCrop] = useState<Crop>(wholeCrop);
  const frame = useRef<HTMLCanvasElement>(null);
  const preview = useRef<HTMLCanvasElement>(null);
  const dragged = useRef<{ x: number; y: number } | null>(null);

  const open = async (file: File | null) => {
    if (!file) return;
    try {
      const bitmap = await createImageBitmap(file); // turned as the camera was held
      setUnreadable(false);
      setCrop(wholeCrop);
      setPicture(bitmap);
    } catch {
      setUnreadable(true);
    }
  };
  useEffect(() => () => picture?.close(), [picture]);

  const draw = useCallback(
    (canvas: HTMLCanvasElement | null, size: number) => {
      const at = canvas?.getContext("2d");
      if (!canvas || !at || !picture) return;
      canvas.width = canvas.height = size;
      const cut = squareOf(picture, crop);
      at.imageSmoothingQuality = "high";
      at.fillStyle = "#fff"; // under what is transparent
      at.fillRect(0, 0, size, size);
      at.drawImage(picture, cut.x, cut.y, cut.side, cut.side, 0, 0, size, size);
    },
    [picture, crop],
  );
  useEffect(() => {
    draw(frame.current, side);
    draw(preview.current, 144);
  }, [draw]);

  const send = useMutation({
    meta: { inline: true },
    mutationFn: async () => {
      const canvas = document.createElement("canvas");
      draw(canvas, side);
      const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/jpeg", 0.88));
      if (!blob) throw new Error("the canvas gave no picture");
      await save(blob);
    },
    onSuccess: onClose,
  });

  const onKeyDown = (e: React.KeyboardEvent) => {
    if (!picture) return;
    const step = e.shiftKey ? 0.1 : 0.02;
    const by: Record<string, [number, number]> = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const move = by[e.key];
    if (move) setCrop((c) => moved(picture, c, ...move));
    else if (e.key === "+" || e.key === "=") setCrop((c) => within(picture, { ...c, zoom: c.zoom + 0.1 }));
    else if (e.key === "-") setCrop((c) => within(picture, { ...c, zoom: c.zoom - 0.1 }));
    else return;
    e.preventDefault();
  };

  return (
    <Modal opened onClose={onClose} title={t("photo.title")} closeButtonProps={{ "aria-label": t("close") }}>
      <Stack gap="sm">
        <Text c="dimmed">{picture ? t("photo.move") : t("photo.lead")}</Text>
        <Problem error={send.error} title={t("photo.failed")} words={{ too_large: t("photo.too_large"), invalid: t("photo.unreadable") }} />
        {unreadable && <Problem error={new Error("unreadable")} title={t("photo.unreadable_title")} words={{ internal: t("photo.unreadable") }} />}
        {picture && (
          <>
            <div className={classes.pictures}>
              {/* eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- moved by keys and pointer; the zoom's slider stands beside it */}
              <div
                className={classes.frame}
                role="application"
                aria-label={t("photo.frame")}
                aria-describedby="photo-keys"
                // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- as above
                tabIndex={0}
                data-autofocus
                onKeyDown={onKeyDown}
                onPointerDown={(e) => {
                  e.currentTarget.setPointerCapture(e.pointerId);
                  dragged.current = { x: e.clientX, y: e.clientY };
                }}
                onPointerMove={(e) => {
                  const from = dragged.current;
                  if (!from) return;
                  const width = e.currentTarget.clientWidth;
                  const [dx, dy] = [(e.clientX - from.x) / width, (e.clientY - from.y) / width];
                  dragged.current = { x: e.clientX, y: e.clientY };
                  setCrop((c) => moved(picture, c, dx, dy));
                }}
                onPointerUp={() => (dragged.current = null)}
                onPointerCancel={() => (dragged.current = null)}
                onWheel={(e) => setCrop((c) => within(picture, { ...c, zoom: c.zoom * (e.deltaY < 0 ? 1.05 : 1 / 1.05) }))}
              >
                <canvas ref={frame} className={classes.canvas} aria-hidden />
              </div>
              <figure className={classes.preview}>
                <canvas ref={preview} className={classes.round} aria-hidden />
                <Text component="figcaption" size="sm" c="dimmed">
                  {t("photo.preview")}
                </Text>
              </figure>
            </div>
            <Text id="photo-keys" size="sm" c="dimmed">
              {t("photo.keys")}
            </Text>
            <Text size="sm" fw={500} aria-hidden>
              {t("photo.zoom")}
            </Text>
            <Slider
              min={1}
              max={maxZoom}
              step={0.05}
              value={crop.zoom}
              label={null}
              thumbLabel={t("photo.zoom")}
              onChange={(zoom) => setCrop((c) => within(picture, { ...c, zoom }))}
            />
          </>
        )}
        <Group justify="space-between">
          <FileButton onChange={(f) => void open(f)} accept="image/jpeg,image/png,image/webp">
            {(props) => (
              <Button {...props} variant="default">
                {picture ? t("photo.other") : t("photo.choose")}
              </Button>
            )}
          </FileButton>
          <Group gap="xs">
            <Button variant="default" onClick={onClose}>
              {t("cancel")}
            </Button>
            <Button disabled={!picture} loading={send.isPending} onClick={() => send.mutate()}>
              {t("photo.save")}
            </Button>
          </Group>
        </Group>
      </Stack>
    </Modal>
  );
}
