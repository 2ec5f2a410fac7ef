import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { bytes, createPasskey, passkeysSupported, PasskeyError, provePasskey, text } from "./webauthn";

const create = vi.fn();
const get = vi.fn();

beforeEach(() => {
  create.mockReset();
  get.mockReset();
  vi.stubGlobal("PublicKeyCredential", class {}); // a browser without the JSON helpers
  vi.stubGlobal("isSecureContext", true);
  Object.defineProperty(navigator, "credentials", { configurable: true, value: { create, get } });
});
afterEach(() => Reflect.deleteProperty(navigator, "credentials"));

const buffer = (s: string) => new TextEncoder().encode(s).buffer as ArrayBuffer;

it("writes and reads base64url without padding", () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  for (const n of [0, 1, 2, 3, 254, 255, 256]) {
    const part = all.slice(0, n).buffer;
    expect(text(part)).toBe(Buffer.from(part).toString("base64url"));
    expect(new Uint8Array(bytes(text(part)))).toEqual(new Uint8Array(part));
  }
});

it("turns the server's JSON into what the browser takes, and the answer back into JSON", async () => {
  get.mockResolvedValue({
    id: "aWQ", rawId: buffer("id"), type: "public-key", authenticatorAttachment: "platform", getClientExtensionResults: () => ({}),
    response: { clientDataJSON: buffer("client"), authenticatorData: buffer("data"), signature: buffer("signed"), userHandle: null },
  });
  const answer = await provePasskey({ publicKey: { challenge: text(buffer("challenge")), allowCredentials: [{ id: text(buffer("one")), type: "public-key" }], userVerification: "required" } });
  const asked = (get.mock.calls[0] as [CredentialRequestOptions])[0].publicKey;
  expect(Buffer.from(asked?.challenge as ArrayBuffer).toString()).toBe("challenge");
  expect(Buffer.from(asked?.allowCredentials?.[0]?.id as ArrayBuffer).toString()).toBe("one");
  expect(asked?.userVerification).toBe("required");
  expect(JSON.parse(JSON.stringify(answer))).toEqual({
    id: "aWQ", rawId: text(buffer("id")), type: "public-key", authenticatorAttachment: "platform", clientExtensionResults: {},
    response: { clientDataJSON: text(buffer("client")), authenticatorData: text(buffer("data")), signature: text(buffer("signed")) },
  });
});

it.each([
  ["NotAllowedError", "cancelled"],
  ["InvalidStateError", "known"],
  ["SecurityError", "unsupported"],
])("tells a %s apart", async (name, problem) => {
  create.mockRejectedValue(new DOMException("no", name));
  const failed = await createPasskey({ challenge: "YQ", user: { id: "YQ", name: "an", displayName: "An" }, rp: { name: "x" }, pubKeyCredParams: [] }).catch((err: unknown) => err);
  expect(failed).toBeInstanceOf(PasskeyError);
  expect((failed as PasskeyError).problem).toBe(problem);
});

it("asks for none where the address is not secure", async () => {
  vi.stubGlobal("isSecureContext", false);
  expect(passkeysSupported()).toBe(false);
  await expect(provePasskey({ challenge: "YQ" })).rejects.toMatchObject({ problem: "unsupported" });
  expect(get).not.toHaveBeenCalled();
});
