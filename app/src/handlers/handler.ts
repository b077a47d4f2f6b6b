/** A handler processes one message type. Each has its own file and is listed in index.ts. */
import type { z } from 'zod';
import type { Authenticate } from '../connection/auth.ts';
import type { Connection } from '../connection/connection.ts';
import type { TokenExpiry } from '../connection/token-expiry.ts';
import type { ServerMessages, ServerMessageType } from '../protocol.ts';
import type { Refusal } from '../rooms/authorize.ts';
import type { Publisher } from '../rooms/publisher.ts';
import type { Rooms } from '../rooms/rooms.ts';

export interface Context {
  /** The message id that the client chose. */
  id: string | undefined;
  connection: Connection;
  rooms: Rooms;
  publisher: Publisher;
  authenticate: Authenticate;
  tokenExpiry: TokenExpiry;
  maxContentLength: number;
}

/** The answer to the sender: a message, a refusal, or nothing. */
export type Answer =
  | { [T in ServerMessageType]: { type: T; payload: ServerMessages[T] } }[ServerMessageType]
  | (Refusal & { field?: string })
  | undefined;

export interface Handler<P = unknown> {
  type: string;
  /** Older names of the same message type. */
  aliases?: readonly string[];
  payload: z.ZodType<P>;
  /** BrokerUnavailable is answered with UNAVAILABLE, any other exception with INTERNAL. */
  handle(context: Context, payload: P): Promise<Answer> | Answer;
}

export const defineHandler = <P>(handler: Handler<P>): Handler<P> => handler;

/** Content that is too long is refused, never truncated. */
export function contentRefusal(context: Context, content: string): Answer {
  if (content.length <= context.maxContentLength) return undefined;
  const message = `content has ${content.length} characters; the limit is ${context.maxContentLength}`;
  return { refused: 'CONTENT_TOO_LONG', message, field: 'content' };
}
