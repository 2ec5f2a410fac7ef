import { Button, Group, Progress, Text } from "@mantine/core";
import { IconVolume } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import type { LocalMedia } from "../local-media";
import { useStore } from "../use";

/** How loud the microphone is, and a sound to hear whether the speaker works. */
export function Level({ media }: { media: LocalMedia }) {
  const { t } = useTranslation("meeting");
  const { mic, speaker } = useStore(media.store);
  const level = useLevel(mic.on ? media.track("mic") : null);
  return (
    <Group mt="sm" gap="md" wrap="nowrap" align="center">
      <div style={{ flex: 1 }}>
        <Text size="sm" mb={4}>
          {t("door.level")}
        </Text>
        <Progress.Root size="sm">
          <Progress.Section value={level} color="var(--commsd-ok)" withAria aria-label={t("door.level")} />
        </Progress.Root>
      </div>
      <Button variant="default" size="xs" leftSection={<IconVolume size={16} stroke={1.5} aria-hidden />} onClick={() => void playTone(speaker)}>
        {t("door.testSpeaker")}
      </Button>
    </Group>
  );
}

/** 0 to 100, ten times a second. */
function useLevel(track: MediaStreamTrack | null): number {
  const [level, setLevel] = useState(0);
  useEffect(() => {
    if (!track) return;
    let context: AudioContext;
    try {
      context = new AudioContext();
    } catch {
      return; // a machine without sound: no meter
    }
    const analyser = context.createAnalyser();
    analyser.fftSize = 512;
    const samples = new Float32Array(analyser.fftSize);
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      let sum = 0;
      for (const s of samples) sum += s * s;
      const decibels = 10 * Math.log10(sum / samples.length + 1e-10);
      setLevel(Math.round(Math.min(100, Math.max(0, ((decibels + 60) / 60) * 100))));
    }, 100);
    return () => {
      clearInterval(timer);
      void context.close();
    };
  }, [track]);
  return track ? level : 0;
}

/** Two short notes on the chosen speaker. */
async function playTone(speaker: string): Promise<void> {
  const context = new AudioContext();
  const out = context.createMediaStreamDestination();
  const gain = context.createGain();
  gain.gain.value = 0.15;
  gain.connect(out);
  for (const [i, hertz] of [523, 659].entries()) {
    const note = context.createOscillator();
    note.frequency.value = hertz;
    note.connect(gain);
    note.start(context.currentTime + i * 0.25);
    note.stop(context.currentTime + i * 0.25 + 0.2);
  }
  const element = new Audio();
  element.srcObject = out.stream;
  try {
    if (speaker && "setSinkId" in element) await element.setSinkId(speaker);
    await element.play();
    await new Promise((resolve) => setTimeout(resolve, 700));
  } catch {
    // no sound device: silence says so
  } finally {
    element.srcObject = null;
    await context.close();
  }
}
