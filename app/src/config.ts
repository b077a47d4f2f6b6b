/**
 * The configuration of one instance, read from the environment through one schema.
 * `.env.example` lists the same variables with the same defaults; a test holds the two together.
 */
import { createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import ms from 'ms';
import proxyAddr from 'proxy-addr';
import { z } from 'zod';
import { authQuestions } from './connection/auth-questions.ts';
import { parsePublicKeys, type VerificationKey } from './connection/verification-key.ts';
import { webhookEvents } from './webhooks/events.ts';

/** A duration such as `500ms`, `30s`, `10m` or `1h`, in milliseconds. */
export const duration = z.string().transform((text, context) => {
  const value = /^\d+(\.\d+)?(ms|s|m|h|d)$/.test(text) ? ms(text as ms.StringValue) : undefined;
  if (value === undefined) {
    context.addIssue({ code: 'custom', message: `expected a duration like 500ms, 30s, 10m or 1h, got "${text}"` });
    return z.NEVER;
  }
  // Node's timers have 32 bits and would fire at once.
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

/** An http or https URL, or empty. A password in it would reach logs. */
const httpUrl = z
  .string()
  .refine(
    (url) => url === '' || (/^https?:\/\/[^@]+$/.test(url) && URL.canParse(url)),
    'expected an http or https URL without user and password',
  );

/** Names and CIDRs that `proxy-addr` accepts. */
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

/** `SECRET` or `KID:SECRET`, comma-separated. Its errors show no secret. */
const secrets = list.transform((items, context) =>
  items.flatMap((item, index): VerificationKey[] => {
    const [, kid, secret] = /^(?:([\w.-]{1,64}):)?([^:]{32,})$/.exec(item) ?? [];
    if (secret) return [{ key: createSecretKey(secret, 'utf8'), algorithm: 'HS256', kid }];
    context.addIssue({
      code: 'custom',
      message: `secret ${index + 1}: expected at least 32 characters, after an optional KID:`,
    });
    return [];
  }),
);

/** What a key of the server API may do. */
export const apiScopes = ['publish', 'presence', 'history', 'manage'] as const;
export type ApiScope = (typeof apiScopes)[number];

export interface ApiKey {
  /** Who uses it, for the log. Several keys may have one name while a secret is replaced. */
  name: string;
  scopes: readonly ApiScope[];
  secret: string;
}

const API_KEY = /^([\w-]{1,32}):(\w+(?:\+\w+)*):([\w.~+/=-]{32,256})$/;

/** `NAME:SCOPE+SCOPE:SECRET`, comma-separated. Its errors show no secret. */
const apiKeys = list.transform((items, context) =>
  items.flatMap((item, index): ApiKey[] => {
    const [, name, scopes, secret] = API_KEY.exec(item) ?? [];
    const wrong = scopes?.split('+').find((scope) => !(apiScopes as readonly string[]).includes(scope));
    if (name && scopes && secret && wrong === undefined) {
      return [{ name, scopes: scopes.split('+') as ApiScope[], secret }];
    }
    const message = wrong
      ? `${name} has the scope ${wrong}; expected ${apiScopes.join(', ')}`
      : 'expected NAME:SCOPE+SCOPE:SECRET with a secret of at least 32 characters';
    context.addIssue({ code: 'custom', message: `key ${index + 1}: ${message}` });
    return [];
  }),
);

/** Every variable that the app reads, with its default as text and its meaning. */
export const environment = z.object({
  JWT_SECRET: z
    .string()
    .min(32, 'at least 32 characters (make up writes one into .env; or: openssl rand -hex 32)')
    .describe('Secret that signs and verifies tokens (HS256); at least 32 characters. make up generates it'),
  JWT_SECRETS: secrets
    .prefault('')
    .describe(
      'More secrets that verify tokens, comma-separated, each SECRET or KID:SECRET: the old one and the next one',
    ),
  JWT_PUBLIC_KEYS: z
    .string()
    .transform((text, context) => {
      try {
        return parsePublicKeys(text);
      } catch (error) {
        context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'expected PEM' });
        return z.NEVER;
      }
    })
    .prefault('')
    .describe(
      'Public keys or certificates that verify tokens (RS256, ES256, EdDSA), PEM, one after the other; \\n for a line break',
    ),
  JWKS_URL: httpUrl
    .default('')
    .describe('URL of an identity provider’s keys (JWKS), which verify tokens too (RS256, ES256, EdDSA)'),
  AUTH_URL: httpUrl
    .default('')
    .describe('URL of a back-end that decides who connects, and if AUTH_ASKS says so, who joins and publishes'),
  AUTH_ASKS: list
    .pipe(z.array(z.enum(authQuestions)).min(1))
    .prefault('connect')
    .describe(`What AUTH_URL is asked: ${authQuestions.join(', ')}`),
  AUTH_TIMEOUT: duration.prefault('2s').describe('Time that AUTH_URL has to answer; after it the answer is no'),
  AUTH_CACHE: duration.prefault('10s').describe('How long an instance uses a yes of AUTH_URL again; 0s: never'),
  JWT_CLOCK_TOLERANCE: duration.prefault('0s').describe('How far the clock of whoever signs tokens may be off'),
  JWT_ISSUER: z.string().default('').describe('If set, tokens must have this iss claim'),
  JWT_AUDIENCE: z.string().default('').describe('If set, tokens must have this aud claim'),
  TOKEN_MAX_LIFETIME: z
    .string()
    .regex(/^\d+[smhd]$/, 'expected a duration like 12h or 30d')
    .transform((text) => ms(text as ms.StringValue))
    .prefault('30d')
    .describe('Tokens that expire later than this from now are refused'),
  TOKEN_EXPIRY_WARNING: duration
    .prefault('60s')
    .describe('Time before a token expires at which its connection is warned'),
  ALLOWED_ORIGINS: list
    .prefault('')
    .describe('Origins that may connect besides the server’s own host, comma-separated; * for any'),
  TRUST_PROXY: proxies
    .prefault('loopback,linklocal,uniquelocal')
    .describe('Proxies whose X-Forwarded-For is trusted (names or CIDRs)'),
  ALLOW_QUERY_TOKEN: flag
    .prefault('true')
    .describe('Whether a token may come in the URL (?token=), where proxies and browsers may keep it'),

  HOST: z.string().default('0.0.0.0').describe('Address that both listeners bind to'),
  PORT: integer(0, 65535).prefault('3000').describe('Public listener: WebSocket, page, /health'),
  INTERNAL_PORT: integer(0, 65535).prefault('9100').describe('Internal listener: /health/ready, /metrics, /status'),
  INSTANCE_ID: z
    .string()
    .regex(/^[\w.-]{0,64}$/, 'letters, digits, dot, dash and underscore only')
    .default('')
    .describe('Name of this instance in logs and metrics; defaults to the host name'),

  API_KEYS: apiKeys
    .prefault('')
    .describe(
      'Keys of the server API: NAME:SCOPE+SCOPE:SECRET, comma-separated; scopes publish, presence, history, manage. Empty: no API',
    ),
  API_PORT: integer(0, 65535).prefault('9200').describe('Listener of the server API, if API_KEYS is set'),
  API_RATE_LIMIT: integer(1, 1_000_000)
    .prefault('10000')
    .describe('Messages per second that one key of the server API may publish on one instance'),

  WEBHOOK_URL: httpUrl.default('').describe('URL that is told what happens (webhooks). Empty: no webhooks'),
  WEBHOOK_SECRET: z
    .string()
    .regex(/^$|^whsec_[A-Za-z0-9+/]{32,86}={0,2}$/, 'expected whsec_ and 24 to 64 bytes as Base64')
    .default('')
    .describe('Secret that signs webhooks: whsec_ and Base64, as from: echo whsec_$(openssl rand -base64 32)'),
  WEBHOOK_EVENTS: list
    .pipe(z.array(z.enum(webhookEvents)))
    .prefault(webhookEvents.join(','))
    .describe(`What WEBHOOK_URL is told: ${webhookEvents.join(', ')}`),
  WEBHOOK_QUEUE_SIZE: integer(1, 10_000_000)
    .prefault('50000')
    .describe('Events that wait for WEBHOOK_URL; beyond it the oldest are dropped'),

  BROKER: z.enum(['redis', 'memory']).default('redis').describe('redis for several instances; memory for a single one'),
  REDIS_URL: z
    .string()
    .refine(
      (url) => /^rediss?:\/\/[^@]+$/.test(url) && URL.canParse(url),
      'expected redis://host:port without a password (use REDIS_PASSWORD)',
    )
    .default('redis://127.0.0.1:6379')
    .describe('URL of Redis, without the password (REDIS_PASSWORD)'),
  REDIS_PASSWORD: z.string().default('').describe('Password of Redis; make up generates it'),
  PRESENCE_LEASE: duration.prefault('5s').describe('Members of a dead instance leave within two of these'),

  PRESENCE_GRACE: duration.prefault('10s').describe('A user who comes back within this time has not left'),
  PRESENCE_DETAIL_MAX: integer(0, 1_000_000)
    .prefault('100')
    .describe('Rooms with more members get one members summary per second instead of single events'),
  HISTORY_SIZE: integer(1, 1_000_000).prefault('1000').describe('Messages that a room keeps for members who resume'),
  HISTORY_TTL: duration
    .prefault('10m')
    .describe('Time after its last message until a room’s history expires; message ids are remembered as long'),
  ROOMS_FILE: z
    .string()
    .min(1, 'expected a path')
    .default('rooms.yml')
    .describe('Options of rooms by name: a YAML file, absolute or from app/; with Compose, a path in the image'),
  RECENT_FRAMES_BYTES: integer(0, 17_179_869_184)
    .prefault('67108864')
    .describe('Memory for recent messages, so that a reconnect wave does not hit Redis'),
  AUDIT_INTERVAL: duration.prefault('5s').describe('Time between two comparisons of a room with Redis'),

  MAX_CONNECTIONS: integer(1, 1_000_000)
    .prefault('20000')
    .describe('Connections this instance accepts before it answers 503'),
  MAX_CONNECTIONS_PER_ADDRESS: integer(1, 1_000_000)
    .prefault('1000')
    .describe('Connections that one address (IPv6: one /64) may have on one instance'),
  MAX_CONNECTIONS_PER_USER: integer(1, 1_000_000)
    .prefault('100')
    .describe('Connections that one user may have on one instance'),
  USER_LIMIT_REFUSES: z
    .enum(['newest', 'oldest'])
    .default('newest')
    .describe('Who is refused beyond MAX_CONNECTIONS_PER_USER: the newest connection, or the oldest, which is closed'),
  MAX_EVENT_LOOP_LAG: duration
    .prefault('1s')
    .describe('An instance whose event loop stays later than this refuses new connections with 503; 0s: never'),
  MAX_FRAME_BYTES: integer(1024, 16_777_216).prefault('65536').describe('Larger frames close the connection with 1009'),
  MAX_CONTENT_LENGTH: integer(1, 1_000_000)
    .prefault('4096')
    .describe('Maximum length of a message’s content, in characters'),
  MAX_ROOMS_PER_CONNECTION: integer(1, 10_000).prefault('100').describe('Maximum number of rooms per connection'),
  MAX_BUFFERED_BYTES: integer(16_384, 1_073_741_824)
    .prefault('1048576')
    .describe('Send buffer size at which a slow consumer is closed with 4008'),
  RATE_LIMIT_PER_MINUTE: integer(1, 1_000_000)
    .prefault('60')
    .describe('Messages per minute that one connection may send'),
  RATE_LIMIT_BURST: integer(1, 1_000_000).prefault('20').describe('Messages that one connection may send in a burst'),
  RATE_LIMIT_USER_FACTOR: integer(1, 1_000_000)
    .prefault('10')
    .describe('All connections of a user together may send this many times what one may'),
  NEW_ROOMS_PER_MINUTE: integer(1, 1_000_000)
    .prefault('60')
    .describe(
      'Rooms without history that one user may be the first to write to, and users to write to; as many at once',
    ),
  RATE_LIMIT_ABUSE: integer(1, 1_000_000)
    .prefault('100')
    .describe('Consecutive refused messages after which a connection is closed with 4029'),

  HEARTBEAT_INTERVAL: duration.prefault('30s').describe('Time between two pings of a connection'),
  HEARTBEAT_TIMEOUT: duration
    .prefault('10s')
    .describe('Time to wait for a pong before the connection is closed with 4000'),

  DRAIN_WINDOW: duration.prefault('10s').describe('SIGTERM: reconnect slots are spread over at most this time'),
  DRAIN_GRACE: duration.prefault('3s').describe('SIGTERM: time after its slot until a connection is closed with 1012'),
  SHUTDOWN_DEADLINE: duration
    .prefault('20s')
    .describe('SIGTERM: the process has exited by then; must be below stop_grace_period'),

  DEMO: flag
    .prefault('false')
    .describe('POST /demo/token issues a token to anyone; make up sets true for the local cluster'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('Lowest level that is logged'),
  LOG_FORMAT: z.enum(['json', 'pretty']).default('json').describe('json for machines, pretty for people'),
});

/** Constraints between variables. Each is checked once the variables that it needs are valid. */
const relations: readonly {
  name: keyof Config;
  needs: readonly (keyof Config)[];
  holds(config: Config): boolean;
  message: string;
}[] = [
  {
    name: 'SHUTDOWN_DEADLINE',
    needs: ['DRAIN_WINDOW', 'DRAIN_GRACE', 'SHUTDOWN_DEADLINE'],
    // shutdown.ts reserves the last 1.5 s for what follows the drain.
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
    name: 'API_PORT',
    needs: ['API_KEYS', 'API_PORT', 'PORT', 'INTERNAL_PORT'],
    holds: ({ API_KEYS, API_PORT, PORT, INTERNAL_PORT }) =>
      API_KEYS.length === 0 || API_PORT === 0 || (API_PORT !== PORT && API_PORT !== INTERNAL_PORT),
    message: 'must be neither PORT nor INTERNAL_PORT',
  },
  {
    name: 'ALLOWED_ORIGINS',
    needs: ['ALLOWED_ORIGINS', 'AUTH_URL', 'AUTH_ASKS'],
    holds: ({ ALLOWED_ORIGINS, AUTH_URL, AUTH_ASKS }) =>
      AUTH_URL === '' || !AUTH_ASKS.includes('connect') || !ALLOWED_ORIGINS.includes('*'),
    message: 'must not be * while AUTH_URL decides who connects: any page could use the cookies of its visitors',
  },
  {
    name: 'AUTH_TIMEOUT',
    needs: ['AUTH_TIMEOUT'],
    holds: ({ AUTH_TIMEOUT }) => AUTH_TIMEOUT >= 10 && AUTH_TIMEOUT <= 10_000,
    message: 'must be 10ms to 10s',
  },
  {
    name: 'WEBHOOK_SECRET',
    needs: ['WEBHOOK_URL', 'WEBHOOK_SECRET'],
    holds: ({ WEBHOOK_URL, WEBHOOK_SECRET }) => WEBHOOK_URL === '' || WEBHOOK_SECRET !== '',
    message: 'is needed with WEBHOOK_URL: whsec_ and 24 to 64 bytes as Base64',
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

/** The configuration. Durations are in milliseconds, sizes in bytes unless the name says otherwise. */
export type Config = Readonly<z.output<typeof environment>>;

/** Lists every problem of an environment. The process exits with code 78 (EX_CONFIG). */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`${problems.length} problem(s) in the environment: ${problems.join('; ')}`);
    this.problems = problems;
  }
}

/**
 * Reads the configuration from `env` and ignores unknown variables. Each may be in a file instead, as `NAME_FILE`: a Docker or
 * Kubernetes secret.
 * @throws {ConfigError} listing every problem, never a secret's value
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(environment.shape)) {
    const text = env[name] || readFrom(name, env, problems) || env[name];
    const result = schema.safeParse(text);
    if (result.success) values[name] = result.data;
    else if (text === undefined) problems.push(`${name}: is not set; ${schema.description}`);
    else problems.push(...result.error.issues.map((issue) => `${name}: ${issue.message}`));
  }
  const config = values as Config;
  for (const { name, needs, holds, message } of relations) {
    if (needs.every((needed) => needed in values) && !holds(config)) problems.push(`${name}: ${message}`);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return { ...config, INSTANCE_ID: config.INSTANCE_ID || hostname() };
}

/** What the file that `NAME_FILE` names has, without the line break at its end. */
function readFrom(
  name: string,
  env: Readonly<Record<string, string | undefined>>,
  problems: string[],
): string | undefined {
  const path = env[`${name}_FILE`];
  if (!path) return undefined;
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    problems.push(`${name}_FILE: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
    return undefined;
  }
}
