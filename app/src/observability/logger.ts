/**
 * The pino logger. Every line has `event` (a stable name) and `instanceId`. Tokens, secrets and message contents are
 * never logged.
 */
import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

export type { Logger };

const secrets = ['token', 'content', 'authorization', 'password', 'secret', 'payload'];

export function createLogger(options: {
  instanceId: string;
  level: string;
  format: 'json' | 'pretty';
  destination?: NodeJS.WritableStream;
}): Logger {
  return pino(
    {
      level: options.level,
      base: { instanceId: options.instanceId },
      redact: { paths: secrets.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
      formatters: { level: (label) => ({ level: label }) },
    },
    options.format === 'pretty'
      ? pretty({
          sync: true,
          ignore: 'instanceId,event',
          ...(options.destination && { destination: options.destination }),
        })
      : (options.destination ?? pino.destination({ dest: 1, sync: true })),
  );
}
