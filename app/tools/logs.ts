/**
 * Makes what the parts wrote readable: lines `PART | LINE` from standard input, in the order of their times.
 *   node app/tools/logs.ts [--level warn] [--since SECONDS] [--from EPOCH_MS] [--color]
 * With --from the times are shown relative to that one.
 */
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { clock, details, type Level, type LogLine, levels, parseLogLine, printable } from './lib/log-line.ts';

/** Lines of several parts that are written at once arrive within this; a line is held so long that they can be sorted. */
const SETTLE_MS = 100;
/** However much comes, nothing is held longer. */
const HOLD_MS = 500;

const { values } = parseArgs({
  options: {
    level: { type: 'string', default: 'trace' },
    since: { type: 'string' },
    from: { type: 'string' },
    color: { type: 'boolean', default: false },
  },
});
const least = levels[values.level as Level];
const oldest = values.since === undefined ? -Infinity : Date.now() - Number(values.since) * 1000;
const from = values.from === undefined ? undefined : Number(values.from);
if (least === undefined || Number.isNaN(oldest) || Number.isNaN(from ?? 0)) {
  console.error('usage: logs.ts [--level warn] [--since SECONDS] [--from EPOCH_MS] [--color]');
  process.exit(64);
}

const paint = (codes: number | string, text: string) => (values.color ? `\x1b[${codes}m${text}\x1b[0m` : text);
const levelColours: Record<Level, string> = {
  trace: '2',
  debug: '2',
  info: '32',
  warn: '33',
  error: '31',
  fatal: '1;31',
};
/** One for each instance, over and over; the other parts have none. */
const instanceColours = [36, 35, 34, 33, 32, 96, 95, 94];

type Timed = LogLine & { at: number; level: Level };
let held: Timed[] = [];
let heldSince = 0;
let timer: NodeJS.Timeout | undefined;
/** What each part said last: the lines of a banner or a stack say neither when nor how grave. */
const last = new Map<string, { at: number; level: Level }>();

function take(text: string): void {
  const line = parseLogLine(text);
  if (!line) return;
  const before = last.get(line.part);
  const at = line.time ?? before?.at ?? 0;
  const level = line.level ?? (line.time === undefined ? before?.level : undefined) ?? 'info';
  last.set(line.part, { at, level });
  if (levels[level] < least || at < oldest) return;
  held.push({ ...line, at, level });
  if (held.length === 1) heldSince = performance.now();
  clearTimeout(timer);
  timer = setTimeout(flush, Math.min(SETTLE_MS, heldSince + HOLD_MS - performance.now()));
}

function flush(): void {
  clearTimeout(timer);
  const lines = held.sort((a, b) => a.at - b.at);
  held = [];
  process.stdout.write(lines.map(format).join(''));
}

function format({ part, at, level, text, fields }: Timed): string {
  const instance = Number(/^app(\d+)$/.exec(part)?.[1] ?? 0);
  const name = part.padEnd(5);
  const { err } = fields;
  const more = details(fields);
  const head = [
    paint(2, from === undefined ? clock(at).padEnd(12) : elapsed(at - from)),
    paint(levelColours[level], level.toUpperCase().padEnd(5)),
    instance ? paint(instanceColours[(instance - 1) % instanceColours.length] ?? 0, name) : name,
    text,
    ...(more ? [paint(2, more)] : []),
  ];
  const stack = String((err as { stack?: unknown } | undefined)?.stack ?? '').split('\n');
  return [head.join(' '), ...stack.filter(Boolean).map((line) => `    ${printable(line)}`), ''].join('\n');
}

const elapsed = (ms: number) => `${ms < 0 ? '' : '+'}${Math.round(ms)} ms`.padStart(9);

// Ends with what it reads from, not before: there is something to flush. And when nobody reads on (make logs | head).
process.once('SIGINT', () => undefined);
process.stdout.on('error', () => process.exit(0));
createInterface({ input: process.stdin }).on('line', take).on('close', flush);
