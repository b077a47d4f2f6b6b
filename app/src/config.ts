/**
 * The configuration of one instance, read from the environment through one schema.
 * `.env.example` lists the same variables with the same defaults; a test holds the two together.
 */
import { hostname } from 'node:os';
import ms from 'ms';
import proxyAddr from 'proxy-addr';
import { z } from 'zod';

/** A span of time as people write it (`500ms`, `30s`, `10m`, `1h`), in milliseconds. */
const duration = z.string().transform((text, context) => {
  const value = /^\d+(\.\d+)?(ms|s|m|h|d)$/.test(text) ? ms(text as ms.StringValue) : undefined;
  if (value === undefined) {
    context.addIssue({ code: 'custom', message: `expected a duration like 500ms, 30s, 10m or 1h, got "${text}"` });
    return z.NEVER;
  }
  // Node's timers hold 32 bits and would fire at once.
  if (value > 2 ** 31 - 1) context.addIssue({ code: 'custom', message: 'at most 24d' });
  return value;
});

const integer = (min: number, max: number) =>
  z
    .string()
    .regex(/^-?\d+$/, 'expected a whole number')
    .transform(Number)
    .pipe(z.number().min(min).max(max));

const flag = z.enum(['true', 'false']).transform((text) => text === 'true');

const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
);

/** Names and CIDRs as `proxy-addr` takes them. */
const proxies = list.superRefine((items, context) => {
  for (const item of items) {
    try {
      proxyAddr.compile([item]);
    } catch {
      context.addIssue({
        code: 'custom',
        message: `expected loopback, linklocal, uniquelocal or a CIDR, got "${item}"`,
      });
    }
  }
});

/** Every variable that the app reads: its default as the environment would give it, and what it means. */
export const environment = z.object({
  JWT_SECRET: z
    .string()
    .min(32, 'at least 32 characters (make up writes one into .env; or: openssl rand -hex 32)')
    .describe('Signs and checks tokens (HS256); at least 32 characters. No default: make up makes one'),
  JWT_ISSUER: z.string().default('').describe('If set, tokens must carry this iss'),
  JWT_AUDIENCE: z.string().default('').describe('If set, tokens must carry this aud'),
  TOKEN_MAX_LIFETIME: z
    .string()
    .regex(/^\d+[smhd]$/, 'expected a duration like 12h or 30d')
    .transform((text) => ms(text as ms.StringValue))
    .prefault('30d')
    .describe('Tokens that expire later than this from now are refused'),
  TOKEN_EXPIRY_WARNING: duration.prefault('60s').describe('How long before a token ends its owner is told'),
  ALLOWED_ORIGINS: list
    .prefault('')
    .describe('Origins that may connect besides the page’s own host, comma-separated; * for any'),
  TRUST_PROXY: proxies
    .prefault('loopback,linklocal,uniquelocal')
    .describe('Proxies whose X-Forwarded-For is believed (names or CIDRs); only logs use it'),

  HOST: z.string().default('0.0.0.0').describe('Address that both listeners bind'),
  PORT: integer(0, 65535).prefault('3000').describe('Public listener: WebSocket, page, /health'),
  INTERNAL_PORT: integer(0, 65535).prefault('9100').describe('Internal listener: /health/ready, /metrics, /status'),
  INSTANCE_ID: z
    .string()
    .regex(/^[\w.-]{0,64}$/, 'letters, digits, dot, dash and underscore only')
    .default('')
    .describe('Name of this instance in logs and metrics; empty: the host name'),

  BROKER: z
    .enum(['redis', 'memory'])
    .default('redis')
    .describe('redis between instances; memory for one instance alone'),
  REDIS_URL: z
    .string()
    .refine(
      (url) => /^rediss?:\/\/[^@]+$/.test(url) && URL.canParse(url),
      'expected redis://host:port without a password (use REDIS_PASSWORD)',
    )
    .default('redis://127.0.0.1:6379')
    .describe('Where Redis is; the password goes into REDIS_PASSWORD, never here'),
  REDIS_PASSWORD: z.string().default('').describe('Password of Redis; make up makes one'),
  PRESENCE_LEASE: duration.prefault('5s').describe('A dead instance’s members leave within two of these'),

  PRESENCE_GRACE: duration.prefault('10s').describe('A user who comes back within this neither left nor joined'),
  PRESENCE_DETAIL_MAX: integer(0, 1_000_000)
    .prefault('100')
    .describe('Rooms with more members get one summed-up members event a second, not one per person'),
  HISTORY_SIZE: integer(1, 1_000_000).prefault('1000').describe('Messages that a room keeps for members who come back'),
  HISTORY_TTL: duration
    .prefault('10m')
    .describe('Time after its last message that a room’s history goes; message ids are remembered as long'),
  RECENT_FRAMES_BYTES: integer(0, 17_179_869_184)
    .prefault('67108864')
    .describe('Memory of this instance for recent messages, so that a reconnect wave does not fall on Redis'),
  AUDIT_INTERVAL: duration.prefault('5s').describe('Time between two comparisons of a room with Redis'),

  MAX_CONNECTIONS: integer(1, 1_000_000)
    .prefault('20000')
    .describe('Connections this instance takes before it answers 503'),
  MAX_FRAME_BYTES: integer(1024, 16_777_216).prefault('65536').describe('Larger frames close the connection with 1009'),
  MAX_CONTENT_LENGTH: integer(1, 1_000_000).prefault('4096').describe('Longest content of a message, in characters'),
  MAX_ROOMS_PER_CONNECTION: integer(1, 10_000).prefault('100').describe('Rooms that one connection may be in'),
  MAX_BUFFERED_BYTES: integer(16_384, 1_073_741_824)
    .prefault('1048576')
    .describe('Unsent bytes after which a slow consumer is closed with 4008'),
  RATE_LIMIT_PER_MINUTE: integer(1, 1_000_000)
    .prefault('60')
    .describe('Messages a minute that one connection may send'),
  RATE_LIMIT_BURST: integer(1, 1_000_000).prefault('20').describe('Messages that it may send at once'),
  RATE_LIMIT_ABUSE: integer(1, 1_000_000)
    .prefault('100')
    .describe('Refused messages in a row after which the connection is closed with 4029'),

  HEARTBEAT_INTERVAL: duration.prefault('30s').describe('Time between pings to one connection'),
  HEARTBEAT_TIMEOUT: duration
    .prefault('10s')
    .describe('Time that a pong may take before the connection is closed with 4000'),

  DRAIN_WINDOW: duration.prefault('10s').describe('SIGTERM: reconnect slots are spread over at most this'),
  DRAIN_GRACE: duration.prefault('3s').describe('SIGTERM: time after its slot before a connection is closed with 1012'),
  SHUTDOWN_DEADLINE: duration
    .prefault('20s')
    .describe('SIGTERM: the process has ended by then; below stop_grace_period'),

  DEMO: flag
    .prefault('false')
    .describe('POST /demo/token gives anyone a token; make up sets true for the local cluster'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('Least level that is logged'),
  LOG_FORMAT: z.enum(['json', 'pretty']).default('json').describe('json for machines, pretty for people'),
});

/** What must hold between variables; each is looked at as soon as the variables it names are valid by themselves. */
const relations: readonly {
  name: keyof Config;
  needs: readonly (keyof Config)[];
  holds(config: Config): boolean;
  message: string;
}[] = [
  {
    name: 'SHUTDOWN_DEADLINE',
    needs: ['DRAIN_WINDOW', 'DRAIN_GRACE', 'SHUTDOWN_DEADLINE'],
    // shutdown.ts keeps the last 1.5 s for what is left after the drain.
    holds: (config) => config.DRAIN_WINDOW + config.DRAIN_GRACE + 2000 <= config.SHUTDOWN_DEADLINE,
    message: 'must be at least DRAIN_WINDOW + DRAIN_GRACE + 2s',
  },
  {
    name: 'INTERNAL_PORT',
    needs: ['PORT', 'INTERNAL_PORT'],
    holds: (config) => config.PORT !== config.INTERNAL_PORT || config.PORT === 0,
    message: 'must not be PORT: the public listener shows nothing internal',
  },
  {
    name: 'HEARTBEAT_TIMEOUT',
    needs: ['HEARTBEAT_INTERVAL', 'HEARTBEAT_TIMEOUT'],
    holds: (config) => config.HEARTBEAT_TIMEOUT < config.HEARTBEAT_INTERVAL,
    message: 'must be shorter than HEARTBEAT_INTERVAL',
  },
  {
    name: 'HEARTBEAT_TIMEOUT',
    needs: ['HEARTBEAT_TIMEOUT'],
    holds: (config) => config.HEARTBEAT_TIMEOUT >= 100,
    message: 'must be at least 100ms',
  },
  {
    name: 'PRESENCE_LEASE',
    needs: ['PRESENCE_LEASE'],
    holds: (config) => config.PRESENCE_LEASE >= 100,
    message: 'must be at least 100ms',
  },
];

/** The whole configuration; durations in milliseconds, sizes in bytes unless the name says otherwise. */
export type Config = Readonly<z.output<typeof environment>>;

/** Every problem of an environment at once, one line each. The process ends with exit code 78 (EX_CONFIG). */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`${problems.length} problem(s) in the environment:\n${problems.map((line) => `  ${line}`).join('\n')}`);
    this.problems = problems;
  }
}

/**
 * Reads the configuration out of `env`; variables that the app does not know are not looked at.
 * @throws {ConfigError} listing every problem, never a secret's value
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(environment.shape)) {
    const result = schema.safeParse(env[name]);
    if (result.success) values[name] = result.data;
    else if (env[name] === undefined) problems.push(`${name}: is not set; ${schema.description}`);
    else problems.push(...result.error.issues.map((issue) => `${name}: ${issue.message}`));
  }
  const config = values as Config;
  for (const { name, needs, holds, message } of relations) {
    if (needs.every((needed) => needed in values) && !holds(config)) problems.push(`${name}: ${message}`);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return { ...config, INSTANCE_ID: config.INSTANCE_ID || hostname() };
}
