import { untilUnlocked } from "../../api/client";
import { ApiError, errorOf } from "../../api/error";
import type { components } from "../../api/schema";
import { activePosition, sessionEnded } from "../../api/session-state";

export type FileView = components["schemas"]["FileView"];

/**
 * Sends one file up and tells how far it is, from 0 to 1; fetch cannot tell.
 * Throws ApiError as every request does, AbortError when the signal says so.
 */
export function sendUp(file: File, onProgress: (part: number) => void, signal: AbortSignal): Promise<FileView> {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    const query = new URLSearchParams({ name: file.name, type: file.type || "application/octet-stream" });
    request.open("POST", `/api/v1/mail/uploads?${query.toString()}`);
    const position = activePosition();
    if (position) request.setRequestHeader("Commsd-Position", position);
    request.upload.onprogress = (e) => e.lengthComputable && onProgress(e.loaded / e.total);
    request.onload = () => {
      if (request.status === 201) return done(JSON.parse(request.responseText) as FileView);
      if (request.status === 401) sessionEnded();
      if (request.status === 423) return void untilUnlocked(signal).then(() => sendUp(file, onProgress, signal)).then(done, failed);
      void errorOf(new Response(request.responseText, { status: request.status })).then(failed);
    };
    request.onerror = () => failed(new ApiError("offline", 0, "the server cannot be reached"));
    request.onabort = () => failed(new DOMException("stopped", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
