/** The stable codes of the server's problem documents, and "offline" of our own. */
export type ErrorCode =
  | "invalid" | "unauthenticated" | "forbidden" | "not_found" | "conflict" | "too_large"
  | "rate_limited" | "unavailable" | "gone" | "locked" | "internal" | "offline";

const known: ReadonlySet<string> = new Set<ErrorCode>([
  "invalid", "unauthenticated", "forbidden", "not_found", "conflict", "too_large",
  "rate_limited", "unavailable", "gone", "locked", "internal", "offline",
]);

/** One field at fault, as the server names it. */
export interface FieldError {
  location?: string;
  message?: string;
  value?: unknown;
}

/**
 * What every failed request throws. Pages switch on code and use words of their
 * own language; detail is the server's, for details only.
 */
export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    readonly code: ErrorCode,
    readonly status: number,
    readonly detail: string,
    readonly fields: FieldError[] = [],
    /** Seconds to wait, when the server said so. */
    readonly retryAfter?: number,
    /** A stable word for what exactly is wrong, "address_taken"; empty: the code must do. */
    readonly reason = "",
  ) {
    super(`${code}: ${detail}`);
  }
}

/** The code of anything thrown. */
export function codeOf(err: unknown): ErrorCode {
  return err instanceof ApiError ? err.code : "internal";
}

const byStatus: Record<number, ErrorCode> = {
  401: "unauthenticated", 403: "forbidden", 404: "not_found", 408: "unavailable", 409: "conflict", 410: "gone", 423: "locked",
  413: "too_large", 422: "invalid", 429: "rate_limited", 502: "unavailable", 503: "unavailable", 504: "unavailable",
};

/** Reads the error of an answer that is not ok. */
export async function errorOf(response: Response): Promise<ApiError> {
  let body: { code?: unknown; detail?: unknown; errors?: unknown; reason?: unknown } = {};
  try {
    body = (await response.clone().json()) as typeof body;
  } catch {
    // a proxy's page, or nothing: the status must do
  }
  const code =
    typeof body.code === "string" && known.has(body.code)
      ? (body.code as ErrorCode)
      : (byStatus[response.status] ?? (response.status < 500 ? "invalid" : "internal"));
  const retry = Number(response.headers.get("Retry-After"));
  return new ApiError(
    code,
    response.status,
    typeof body.detail === "string" ? body.detail : response.statusText,
    Array.isArray(body.errors) ? (body.errors as FieldError[]) : [],
    Number.isFinite(retry) && retry > 0 ? retry : undefined,
    typeof body.reason === "string" ? body.reason : "",
  );
}
