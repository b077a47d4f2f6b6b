/** One line that a part of the cluster wrote, as the driver hands it on: `PART | LINE`. */

export const levels = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60 } as const;
export type Level = keyof typeof levels;

export interface LogLine {
  part: string;
  /** Milliseconds since the epoch; undefined when the line does not say. */
  time: number | undefined;
  /** Undefined when the line does not say: it goes with the one before. */
  level: Level | undefined;
  text: string;
  /** What the app says besides; empty for the other parts. */
  fields: Readonly<Record<string, unknown>>;
}

/** How the other parts say when, and some how grave it is: what is matched here is left out of the text. */
const stamps = [
  // Prometheus and its kin
  /\b(?:ts|time)=(?<time>\S+) ?/,
  // NGINX: requests, errors
  /\[(?<time>\d{4}-\d\d-\d\dT[^\]]+)\] ?/,
  /^(?<time>\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d) \[(?<level>\w+)\] /,
  // Redis
  /^\d+:[A-Z] (?<time>\d\d [A-Z][a-z]{2} \d{4} [\d:.]+) (?<level>[.*#-]) /,
];
const logfmtLevel = /\blevel=(?<level>\w+) ?/;
/** What the parts call the levels otherwise. */
const otherNames: Readonly<Record<string, Level>> = {
  '.': 'debug',
  '-': 'debug',
  '*': 'info',
  '#': 'warn',
  notice: 'info',
  warning: 'warn',
  crit: 'error',
  alert: 'error',
  emerg: 'fatal',
};

/** Compose counts the containers of a service: app1-1. */
const prefix = /^(?<part>[a-z]+(?:-[a-z]+)*\d*)(?:-\d+)? *\| ?(?<rest>.*)$/;

/** @returns undefined for what no part wrote */
export function parseLogLine(line: string): LogLine | undefined {
  const { part, rest } = prefix.exec(line)?.groups ?? {};
  if (part === undefined || rest === undefined) return undefined;
  const own = parseJson(rest);
  if (own) {
    const { time, level, msg, instanceId: _, ...fields } = own;
    return { part, time: Number(time) || undefined, level: levelOf(level), text: printable(String(msg ?? '')), fields };
  }
  let text = rest;
  let time: number | undefined;
  let level: string | undefined;
  for (const pattern of [...stamps, logfmtLevel]) {
    const match = pattern.exec(text);
    if (!match) continue;
    if (match.groups?.['time'] !== undefined) time ??= Date.parse(match.groups['time']) || undefined;
    level ??= match.groups?.['level'];
    text = text.replace(match[0], '');
  }
  // The app says everything in JSON, but for the words it dies with.
  return { part, time, level: part.startsWith('app') ? 'error' : levelOf(level), text: printable(text), fields: {} };
}

/** What others wrote shall not steer the terminal. */
export const printable = (text: string): string => text.replaceAll(/\p{Cc}/gu, '\u{fffd}');

/** What a line of the app says besides its text, as `name=value`. */
export function details({ event: _, err: __, ...fields }: LogLine['fields']): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${show(value)}`)
    .join(' ');
}

function show(value: unknown): string {
  const plain = typeof value === 'string' && /^[^\s"=]+$/.test(value);
  return printable(plain ? value : JSON.stringify(value));
}

/** 12:34:56.789, as the clock on the wall says; nothing for 0. */
export function clock(at: number): string {
  if (at === 0) return '';
  const local = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(11, 23);
}

function levelOf(name: unknown): Level | undefined {
  if (name === undefined) return undefined;
  const known = String(name).toLowerCase();
  return Object.hasOwn(levels, known) ? (known as Level) : (otherNames[known] ?? 'info');
}

function parseJson(text: string): Record<string, unknown> | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
