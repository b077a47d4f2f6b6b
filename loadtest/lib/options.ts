/**
 * What a run can be told by the environment. A script gives its own defaults to `loadOptions`. deploy/cluster/commands/loadtest.sh
 * reads this table, and them, for `make loadtest HELP=1` and to pass them on: one option, one line.
 */

/** Each option: its default and what it means. */
const table = {
  CLIENTS: ['300', 'connections that are held'],
  ROOMS: ['10', 'rooms that the clients are spread over; everyone in a room gets what anyone in it says'],
  RATE: ['0.25', 'messages a second that each client publishes (the app’s limit: 60 a minute, joins count too)'],
  DURATION: ['2m', 'how long they publish: 90s, 2m, 1h'],
  SIZE: ['64', 'characters of a message, at least'],
  CONNECT: ['', 'time to connect before that; empty: 5s, and 1s more for every 400 clients'],
  SETTLE: ['20s', 'time that the last messages may take to arrive after that'],
  GAP_P99: ['100', 'ms: threshold of the 99th percentile of delivery_gap'],
  PER_VU: ['', 'clients per virtual user (each has its own address); empty: 10, and more above 2,000 clients'],
  STEPS: ['10', 'ramp: steps, each adding its share'],
  RAMP: ['clients', 'ramp: what goes up to CLIENTS or RATE in steps: clients or rate'],
  RESUME: ['true', 'false: come back without a position, so that what was missed is lost'],
  URL: ['ws://localhost:8080/ws', 'the WebSocket'],
  FORWARDED: ['false', 'true: an X-Forwarded-For for each virtual user, for a listener that believes it'],
  PROMETHEUS: ['', 'base URL of the cluster’s Prometheus'],
  JWT_SECRET: ['', 'signs the clients’ tokens (HS256), as the cluster checks them'],
  JWT_ISSUER: ['', 'iss of the tokens; empty: none'],
  JWT_AUDIENCE: ['', 'aud of the tokens; empty: none'],
  // The recipe's own, and so not for people: when publishing begins, in ms since the epoch, and where the summary goes.
  START_AT: ['', ''],
  SUMMARY: ['', ''],
} satisfies Record<string, [string, string]>;

export type OptionName = keyof typeof table;

/** Durations in milliseconds. */
export interface Options {
  clients: number;
  rooms: number;
  rate: number;
  duration: number;
  size: number;
  connect: number;
  settle: number;
  gapP99: number;
  perVu: number;
  steps: number;
  ramp: 'clients' | 'rate';
  resume: boolean;
  url: string;
  forwarded: boolean;
  prometheus: string;
  startAt: number | undefined;
  summary: string;
  secret: string;
  issuer: string;
  audience: string;
  /** As text, by name: what a report may show, so without the secret. */
  shown: Record<string, string>;
}

const NOT_SHOWN = ['JWT_SECRET', 'JWT_ISSUER', 'JWT_AUDIENCE', 'START_AT', 'SUMMARY', 'PROMETHEUS', 'URL'];

/** @throws {Error} naming the option that cannot be read */
export function loadOptions(defaults: Partial<Record<OptionName, string>> = {}): Options {
  const text = (name: OptionName): string => __ENV[name] || (defaults[name] ?? table[name][0]);

  function number(name: OptionName, least: number): number {
    const value = Number(text(name));
    if (!(value >= least)) throw new Error(`${name}=${text(name)}: expected a number of at least ${least}`);
    return value;
  }
  function span(name: OptionName, otherwise = 0): number {
    return text(name) === '' ? otherwise : parseSpan(name, text(name));
  }

  const clients = number('CLIENTS', 1);
  const shown: Record<string, string> = {};
  for (const name of Object.keys(table) as OptionName[]) {
    if (!NOT_SHOWN.includes(name) && text(name) !== '') shown[name] = text(name);
  }
  return {
    clients,
    rooms: Math.min(clients, number('ROOMS', 1)),
    rate: number('RATE', 0),
    duration: span('DURATION'),
    size: number('SIZE', 0),
    connect: span('CONNECT', 5000 + (clients / 400) * 1000),
    settle: span('SETTLE'),
    gapP99: number('GAP_P99', 0),
    perVu: text('PER_VU') === '' ? Math.max(10, Math.ceil(clients / 200)) : number('PER_VU', 1),
    steps: number('STEPS', 1),
    ramp: text('RAMP') === 'rate' ? 'rate' : 'clients',
    resume: text('RESUME') !== 'false',
    url: text('URL'),
    forwarded: text('FORWARDED') === 'true',
    prometheus: text('PROMETHEUS'),
    startAt: text('START_AT') === '' ? undefined : number('START_AT', 1),
    summary: text('SUMMARY'),
    secret: text('JWT_SECRET'),
    issuer: text('JWT_ISSUER'),
    audience: text('JWT_AUDIENCE'),
    shown,
  };
}

function parseSpan(name: string, text: string): number {
  const [, value, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  if (value === undefined) throw new Error(`${name}=${text}: expected a duration like 90s, 2m or 1h`);
  return Number(value) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[(unit ?? 's') as 'ms' | 's' | 'm' | 'h'];
}
