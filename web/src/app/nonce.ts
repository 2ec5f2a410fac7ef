/**
 * The content policy allows only style elements that carry the nonce the server
 * put into this page. Mantine asks for it; the scroll lock under its dialogs
 * reads a global of this name.
 */
export function cspNonce(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? "";
}

export function publishNonce(): void {
  (globalThis as { __webpack_nonce__?: string }).__webpack_nonce__ = cspNonce();
}
