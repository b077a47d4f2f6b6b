/**
 * The pino logger. Every line has `event` (a stable name) and `instanceId`. Tokens, secrets and message contents are
 * never logged.
 */
import { createRequire } from 'node:module';
import { type Logger, pino } from 'pino';

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
      ? loadPretty()({
          sync: true,
          ignore: 'instanceId,event',
          ...(options.destination && { destination: options.destination }),
        })
      : (options.destination ?? standardOutput()),
  );
}

/** The lines of one turn of the event loop share a write. */
function standardOutput(): { write(line: string): void } {
  const destination = pino.destination({ dest: 1, sync: true });
  let lines = '';
  function write(): void {
    if (lines !== '') destination.write(lines);
    lines = '';
  }
  process.on('exit', write);
  return {
    write(line) {
      if (lines === '') setImmediate(write);
      lines += line;
    },
  };
}

/** Loaded only for people: production logs JSON. */
const loadPretty = () => createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty');
