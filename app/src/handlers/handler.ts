/** The shape of a handler: one file per message type, each listed in index.ts. */
import type { z } from 'zod';
import type { Auth } from '../connection/auth.ts';
import type { Connection } from '../connection/connection.ts';
import type { TokenExpiry } from '../connection/token-expiry.ts';
import type { ServerMessages, ServerMessageType } from '../protocol.ts';
import type { Refusal } from '../rooms/authorize.ts';
import type { Publisher } from '../rooms/publisher.ts';
import type { Rooms } from '../rooms/rooms.ts';

export interface Context {
  /** The sender's own name of the message. */
  id: string | undefined;
  connection: Connection;
  rooms: Rooms;
  publisher: Publisher;
  auth: Auth;
  tokenExpiry: TokenExpiry;
  maxContentLength: number;
}

/** What the sender is told: a message, an error, or nothing. */
export type Answer =
  | { [T in ServerMessageType]: { type: T; payload: ServerMessages[T] } }[ServerMessageType]
  | (Refusal & { field?: string })
  | undefined;

export interface Handler<P = unknown> {
  type: string;
  /** Older names of the same message. */
  aliases?: readonly string[];
  payload: z.ZodType<P>;
  /** May throw BrokerUnavailable (answered UNAVAILABLE); anything else that it throws is answered INTERNAL. */
  handle(context: Context, payload: P): Promise<Answer> | Answer;
}

export const defineHandler = <P>(handler: Handler<P>): Handler<P> => handler;

/** Content past the limit is refused, never cut. */
export function contentRefusal(context: Context, content: string): Answer {
  if (content.length <= context.maxContentLength) return undefined;
  const message = `content has ${content.length} characters; at most ${context.maxContentLength} are taken`;
  return { refused: 'CONTENT_TOO_LONG', message, field: 'content' };
}
