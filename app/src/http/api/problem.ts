/** Errors of the server API: `application/problem+json` (RFC 9457), with a stable `code`. */

const titles = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
} as const;

export type ProblemStatus = keyof typeof titles;

export const problemCodes = [
  'INVALID_JSON',
  'INVALID_REQUEST',
  'CONTENT_TOO_LONG',
  'UNAUTHORIZED',
  'FORBIDDEN',
  'NOT_FOUND',
  'METHOD_NOT_ALLOWED',
  'BODY_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'RATE_LIMITED',
  'INTERNAL',
  'UNAVAILABLE',
] as const;

export interface ProblemDetails {
  type: 'about:blank';
  title: string;
  status: number;
  code: (typeof problemCodes)[number];
  detail: string;
  /** What is wrong, field by field. */
  errors?: { field: string; message: string }[];
  /** The scope that the key lacks. */
  scope?: string;
  /** The outcome is unknown: what was asked may have been done. Repeat it with the same `id`. */
  uncertain?: boolean;
}

/** Thrown by whatever handles a request. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly details: ProblemDetails;
  /** Seconds, for the header Retry-After. */
  readonly retryAfter: number | undefined;

  constructor(
    status: ProblemStatus,
    code: ProblemDetails['code'],
    detail: string,
    more: Pick<ProblemDetails, 'errors' | 'scope' | 'uncertain'> & { retryAfter?: number } = {},
  ) {
    super(detail);
    const { retryAfter, ...rest } = more;
    this.details = { type: 'about:blank', title: titles[status], status, code, detail, ...rest };
    this.retryAfter = retryAfter;
  }
}
