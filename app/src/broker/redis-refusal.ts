/** Classifies why Redis refused a command, and reports it to the caller, the log and the metrics. */
import { ClientClosedError, ClientOfflineError, ErrorReply } from 'redis';
import type { Logger } from '../observability/logger.ts';
import { type BrokerRefusal, BrokerUnavailable } from './broker.ts';

/** By the first word of an error reply. */
const reasons: Readonly<Record<string, BrokerRefusal>> = {
  OOM: 'full',
  READONLY: 'read_only',
  MISCONF: 'cannot_persist',
};

/** A refusal is over when a command succeeds this long after the last one: near the limit, both alternate. */
const OVER_AFTER_MS = 1000;

export interface RedisRefusals {
  /** Why Redis refuses commands at present. */
  readonly current: BrokerRefusal | undefined;
  /** The error for the caller. An answer, or a failure before sending, means that nothing was stored. */
  refuse(cause?: unknown): BrokerUnavailable;
  /** A command succeeded. */
  accept(): void;
}

export function createRedisRefusals(options: {
  logger: Logger;
  handleRefusal(reason: BrokerRefusal): void;
}): RedisRefusals {
  const { logger } = options;
  let current: BrokerRefusal | undefined;
  let refusedAt = 0;

  return {
    get current() {
      return current;
    },
    refuse(cause) {
      const answered = cause instanceof ErrorReply;
      const reason = answered ? (reasons[cause.message.split(' ', 1)[0] ?? ''] ?? 'error') : 'unreachable';
      options.handleRefusal(reason);
      if (answered) {
        refusedAt = performance.now();
        // One line for each change, not for each message.
        if (reason !== current) {
          logger.warn({ event: 'redis_refuses', reason, err: cause }, 'Redis refuses commands');
        }
        current = reason;
      }
      const unsent = cause === undefined || cause instanceof ClientOfflineError || cause instanceof ClientClosedError;
      return new BrokerUnavailable({ reason, uncertain: !answered && !unsent, cause });
    },
    accept() {
      if (!current || performance.now() - refusedAt < OVER_AFTER_MS) return;
      current = undefined;
      logger.info({ event: 'redis_accepts' }, 'Redis accepts commands again');
    },
  };
}
