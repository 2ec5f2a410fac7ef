import { Button } from "@mantine/core";
import { IconPlugConnected } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import type { LocalMedia } from "../local-media";
import { useStore } from "../use";
import { Line } from "./Line";

/** A device that came, went or took another's place; told once. */
export function DeviceNewsLine({ media }: { media: LocalMedia }) {
  const { t } = useTranslation("meeting");
  const { news, ...devices } = useStore(media.store);
  // The problem says it, and what to do about it.
  if (!news || (news.kind === "unplugged" && devices[news.input].problem === "unplugged")) return null;
  const label = news.label || t("news.unnamed");
  // i18n: news.plugged, news.switched, news.unplugged
  return (
    <Line icon={<IconPlugConnected size={18} stroke={1.5} aria-hidden />} close={t("call.close")} onClose={() => media.clearNews()}>
      {t(`news.${news.kind}`, { label })}
      {news.kind === "plugged" && (
        <Button
          size="compact-sm"
          variant="default"
          ml="sm"
          onClick={() => {
            void media.choose(news.input, news.device);
            media.clearNews();
          }}
        >
          {t("news.use")}
        </Button>
      )}
    </Line>
  );
}
