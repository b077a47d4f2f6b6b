import type { ErrorCode, ErrorPayload } from './protocol.ts';

/**
 * Codes of the client itself, besides the server's:
 * NOT_CONNECTED: nothing was sent. CONNECTION_LOST, TIMEOUT: sent, and no answer came (`uncertain`).
 * CLOSED: the client was closed. LEFT: the room was left before it was joined. NO_TOKEN: the token provider failed.
 * OUTBOX_FULL: too many messages wait already; this one was not taken.
 */
export type LocalErrorCode =
  | 'NOT_CONNECTED'
  | 'CONNECTION_LOST'
  | 'TIMEOUT'
  | 'CLOSED'
  | 'LEFT'
  | 'NO_TOKEN'
  | 'OUTBOX_FULL';

/** Why a request failed: the server's code, or one of the client's own. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly code: ErrorCode | LocalErrorCode;
  /** The part of the payload that the server did not accept. */
  readonly field: string | undefined;
  /** Milliseconds after which the same request can succeed. */
  readonly retryAfter: number | undefined;
  /** The server may or may not have done what was asked. */
  readonly uncertain: boolean;

  constructor(error: Omit<ErrorPayload, 'code'> & { code: ErrorCode | LocalErrorCode }, options?: { cause?: unknown }) {
    super(error.message, options);
    this.code = error.code;
    this.field = error.field;
    this.retryAfter = error.retryAfter;
    this.uncertain = error.uncertain ?? false;
  }
}
