/**
 * Passkeys by the browser's WebAuthn interface (W3C Web Authentication, level 3).
 * The server speaks its JSON forms (section 5.1.8 to 5.1.10); browsers that do not
 * know those yet get them read and written here.
 */

/** Why no passkey came; pages have words for each. */
export type PasskeyProblem =
  | "cancelled" // closed, refused, or nothing was done in time: the browser does not say which
  | "known" // this device has a passkey of this account already
  | "unsupported"; // this browser, or this address of the site, cannot have one

export class PasskeyError extends Error {
  override readonly name = "PasskeyError";
  constructor(readonly problem: PasskeyProblem, cause?: unknown) {
    super(`passkey: ${problem}`, { cause });
  }
}

/** Whether this page may ask for passkeys at all: a browser that knows them, over TLS or on this machine. */
export function passkeysSupported(): boolean {
  return typeof PublicKeyCredential === "function" && !!navigator.credentials && window.isSecureContext;
}

/** Whether the browser offers passkeys in a field's own suggestions. */
export async function suggestsPasskeys(): Promise<boolean> {
  if (!passkeysSupported()) return false;
  try {
    return (await PublicKeyCredential.isConditionalMediationAvailable?.()) ?? false;
  } catch {
    return false;
  }
}

/** The options come as the server sent them, with or without the "publicKey" around them. */
type Options = { publicKey?: unknown };
const inner = (options: unknown): unknown => (options as Options).publicKey ?? options;

/** Makes a new passkey on this device; its JSON goes to the server. */
export async function createPasskey(options: unknown): Promise<unknown> {
  return toJSON(await asked(() => navigator.credentials.create({ publicKey: creationOptions(inner(options) as PublicKeyCredentialCreationOptionsJSON) })));
}

/** Proves with a passkey who sits here. With suggest, it waits in the suggestions of the field that names webauthn. */
export async function provePasskey(options: unknown, { suggest = false, signal }: { suggest?: boolean; signal?: AbortSignal } = {}): Promise<unknown> {
  const publicKey = requestOptions(inner(options) as PublicKeyCredentialRequestOptionsJSON);
  return toJSON(await asked(() => navigator.credentials.get({ publicKey, signal, ...(suggest && { mediation: "conditional" as const }) })));
}

async function asked(ask: () => Promise<Credential | null>): Promise<PublicKeyCredential> {
  if (!passkeysSupported()) throw new PasskeyError("unsupported");
  try {
    const credential = await ask();
    if (credential) return credential as PublicKeyCredential;
  } catch (err) {
    const name = err instanceof DOMException ? err.name : "";
    if (name === "AbortError") throw err; // our own doing
    if (name === "InvalidStateError") throw new PasskeyError("known", err);
    if (name === "NotAllowedError") throw new PasskeyError("cancelled", err);
    throw new PasskeyError("unsupported", err);
  }
  throw new PasskeyError("cancelled");
}

function creationOptions(json: PublicKeyCredentialCreationOptionsJSON): PublicKeyCredentialCreationOptions {
  if (PublicKeyCredential.parseCreationOptionsFromJSON) return PublicKeyCredential.parseCreationOptionsFromJSON(json);
  return {
    ...(json as unknown as PublicKeyCredentialCreationOptions),
    challenge: bytes(json.challenge),
    user: { ...json.user, id: bytes(json.user.id) },
    excludeCredentials: descriptors(json.excludeCredentials),
    extensions: undefined,
  };
}

function requestOptions(json: PublicKeyCredentialRequestOptionsJSON): PublicKeyCredentialRequestOptions {
  if (PublicKeyCredential.parseRequestOptionsFromJSON) return PublicKeyCredential.parseRequestOptionsFromJSON(json);
  return {
    ...(json as unknown as PublicKeyCredentialRequestOptions),
    challenge: bytes(json.challenge),
    allowCredentials: descriptors(json.allowCredentials),
    extensions: undefined,
  };
}

function descriptors(list: PublicKeyCredentialDescriptorJSON[] = []): PublicKeyCredentialDescriptor[] {
  return list.map((d) => ({ id: bytes(d.id), type: "public-key", transports: d.transports as AuthenticatorTransport[] | undefined }));
}

function toJSON(credential: PublicKeyCredential): unknown {
  if (typeof credential.toJSON === "function") return credential.toJSON();
  const response = credential.response as AuthenticatorAttestationResponse & AuthenticatorAssertionResponse;
  const part = (buffer: ArrayBuffer | null | undefined) => (buffer ? text(buffer) : undefined);
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: {
      clientDataJSON: text(response.clientDataJSON),
      attestationObject: part(response.attestationObject),
      transports: response.getTransports?.(),
      authenticatorData: part(response.authenticatorData),
      signature: part(response.signature),
      userHandle: part(response.userHandle),
    },
  };
}

/** base64url without padding (RFC 4648, section 5), as WebAuthn's JSON writes bytes. */
export function text(buffer: ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export function bytes(base64url: string): ArrayBuffer {
  const binary = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  const out = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) out[i] = binary.charCodeAt(i);
  return out.buffer;
}
