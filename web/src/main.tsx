import { createRoot } from "react-dom/client";
import "virtual:mantine.css";
import "./ui/fonts";
import "./ui/base.css";
import { App, fetchPages } from "./app/App";
import { loadTexts } from "./app/texts";
import { initialLang, startTexts } from "./lib/i18n";
import { publishNonce } from "./app/nonce";

publishNonce();
await startTexts(loadTexts, initialLang(), ["app", "ui"]);
fetchPages();
const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
