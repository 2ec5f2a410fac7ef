/** A device as one knows it, read out of a browser's User-Agent: for telling one's own sessions apart, nothing more. */
export interface Device {
  /** "Chrome"; empty when it does not say. */
  browser: string;
  /** "Windows"; empty when it does not say. */
  system: string;
  kind: "phone" | "tablet" | "computer" | "program";
}

// The first that fits: most browsers also name those they want to be taken for.
const browsers: [RegExp, string][] = [
  [/\bcoc_coc_browser\/|\bcoccoc\b/i, "Cốc Cốc"],
  [/\bEdgA?(?:iOS)?\//, "Microsoft Edge"],
  [/\bOPR\/|\bOpera\b/, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\bFirefox\/|\bFxiOS\//, "Firefox"],
  [/\bZalo\b/i, "Zalo"],
  [/\bCriOS\/|\bHeadlessChrome\/|\bChrome\/|\bChromium\//, "Chrome"],
  [/\bVersion\/[\d.]+.*\bSafari\//, "Safari"],
];

const systems: [RegExp, string][] = [
  [/\biPhone\b/, "iPhone"],
  [/\biPad\b/, "iPad"],
  [/\bAndroid\b/, "Android"],
  [/\bWindows\b/, "Windows"],
  [/\bMac OS X\b|\bMacintosh\b/, "macOS"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bLinux\b|\bX11\b/, "Linux"],
];

export function deviceOf(userAgent: string): Device {
  const find = (list: [RegExp, string][]) => list.find(([sign]) => sign.test(userAgent))?.[1] ?? "";
  const browser = find(browsers);
  const system = find(systems);
  const kind =
    system === "iPad" || (system === "Android" && !/\bMobile\b/.test(userAgent)) ? "tablet"
    : system === "iPhone" || system === "Android" ? "phone"
    : system || browser ? "computer"
    : "program";
  return { browser, system, kind };
}
