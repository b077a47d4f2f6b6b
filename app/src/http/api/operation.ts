/** One operation of the server API. Its schemas check the request, and are what docs/openapi.yaml is made of. */
import type { z } from 'zod';
import type { ApiScope } from '../../config.ts';
import type { Caller } from './keys.ts';

export interface OperationRequest<P, Q, B> {
  caller: Caller;
  params: P;
  query: Q;
  body: B;
}

export interface Operation<P = unknown, Q = unknown, B = unknown, R = unknown> {
  /** Its name in the specification. */
  id: string;
  method: 'get' | 'post' | 'delete';
  /** With parameters in braces, as OpenAPI has them. */
  path: string;
  /** What the key must be allowed. */
  scope: ApiScope;
  summary: string;
  params?: z.ZodType<P>;
  query?: z.ZodType<Q>;
  body?: z.ZodType<B>;
  answer: z.ZodType<R>;
  /** The header Idempotency-Key takes the place of `id` in the body. */
  takesIdempotencyKey?: boolean;
  /** @throws {Problem} or {BrokerUnavailable} */
  handle(request: OperationRequest<P, Q, B>): Promise<R>;
}

export const defineOperation = <P, Q, B, R>(operation: Operation<P, Q, B, R>): Operation<P, Q, B, R> => operation;

// biome-ignore lint/suspicious/noExplicitAny: each operation's types are its own schemas'
export type AnyOperation = Operation<any, any, any, any>;
