/** Handles one text frame: finds the handler, validates the payload against its schema, runs it, sends the answer. */
import { BrokerUnavailable } from '../broker/broker.ts';
import type { Connection } from '../connection/connection.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Throughput } from '../observability/throughput.ts';
import { parseClientMessage } from '../protocol.ts';
import type { Context, Handler } from './handler.ts';

export function createDispatch(options: {
  // biome-ignore lint/suspicious/noExplicitAny: each handler's payload is its own schema's
  handlers: readonly Handler<any>[];
  context: Omit<Context, 'connection' | 'id'>;
  metrics: Metrics;
  throughput: Throughput;
  logger: Logger;
}): (connection: Connection, text: string) => Promise<void> {
  const { metrics, throughput, logger } = options;
  const byType = new Map(
    options.handlers.flatMap((handler) =>
      [handler.type, ...(handler.aliases ?? [])].map((type) => [type, handler] as const),
    ),
  );

  return async function dispatch(connection, text) {
    throughput.received();
    const message = parseClientMessage(text);
    if ('error' in message) {
      const { code, message: reason, ...more } = message.error;
      metrics.messagesReceived.inc('malformed');
      return connection.refuse(code, reason, more, message.id);
    }
    const { type, id } = message;
    const handler = byType.get(type);
    if (!handler) {
      metrics.messagesReceived.inc('unknown');
      return connection.refuse('UNKNOWN_TYPE', 'unknown message type', { field: 'type' }, id);
    }
    metrics.messagesReceived.inc(handler.type);
    const payload = handler.payload.safeParse(message.payload);
    if (!payload.success) {
      const [issue] = payload.error.issues;
      const field = issue?.path.join('.') || 'payload';
      return connection.refuse('INVALID_PAYLOAD', `${field}: ${issue?.message}`, { field }, id);
    }
    try {
      const answer = await handler.handle({ ...options.context, connection, id }, payload.data);
      if (!answer) return;
      if ('refused' in answer) {
        const { refused, message: reason, field, right, retryAfter } = answer;
        const more = { ...(field && { field }), ...(right && { right }), ...(retryAfter && { retryAfter }) };
        connection.refuse(refused, reason, more, id);
      } else {
        connection.send(answer.type, answer.payload, id);
      }
    } catch (error) {
      if (error instanceof BrokerUnavailable) {
        const { message: reason, retryAfter, uncertain } = error;
        connection.refuse('UNAVAILABLE', reason, { retryAfter, ...(uncertain && { uncertain }) }, id);
        return;
      }
      logger.error(
        { event: 'handler_failed', clientId: connection.id, type: handler.type, err: error },
        'a handler threw',
      );
      connection.refuse('INTERNAL', 'the server failed to handle this message', {}, id);
    }
  };
}
