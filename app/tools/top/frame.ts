/** The picture of a cluster at one moment: a row for each instance, and below them what happened last. */
import { clock } from '../lib/log-line.ts';
import type { Event } from './events.ts';
import type { Sample } from './sample.ts';
import type { Line, Piece, Style } from './screen.ts';

export interface InstanceView {
  name: string;
  /** As the driver sees its process: running, unhealthy, stopped, exited:137. */
  state: string;
  /** Undefined when it does not answer. */
  sample: Sample | undefined;
  /** How many connections it has asked to reconnect since the drain began; 0 when it does not drain. */
  sentAway: number;
}

export interface View {
  at: number;
  instances: readonly InstanceView[];
  /** NGINX, Redis and the others. */
  parts: readonly { name: string; state: string }[];
}

const columns = [
  ['INSTANCE', -10],
  ['STATE', -12],
  ['CONN', 7],
  ['IN/S', 8],
  ['OUT/S', 9],
  ['P99', 8],
  ['LOOP', 8],
  ['MEM', 7],
  ['LEAVING', 11],
] as const;

const stateStyles: Readonly<Record<string, Style>> = {
  ready: 'green',
  running: 'green',
  draining: 'yellow',
  'no answer': 'red',
};

/** What an instance says of itself, or what is known of one that says nothing. */
export const stateOf = ({ state, sample }: InstanceView): string =>
  sample?.status.state ?? (state === 'running' ? 'no answer' : state);

export function createHead({ at, instances, parts }: View): Line[] {
  const ready = instances.filter((instance) => stateOf(instance) === 'ready').length;
  const connections = sum(instances, ({ status }) => status.connections);
  const up = parts.filter(({ state }) => state === 'running').map(({ name }) => name);
  // What is wrong first: a narrow terminal cuts the end.
  const states = parts
    .filter(({ state }) => state !== 'running')
    .flatMap(({ name, state }): Piece[] => [`${name} `, [state, stateStyles[state] ?? 'red'], '   ']);
  return [
    [
      ['wsfleet', 'bold'],
      `   ${ready} of ${instances.length} ready   ${connections.toLocaleString('en')} connections   `,
      [clock(at).slice(0, 8), 'dim'],
    ],
    up.length > 0 ? [...states, ['up ', 'green'], up.join(' ')] : states,
  ];
}

export function createTable({ instances }: View): Line[] {
  return [
    [[row(columns.map(([title]) => title)), 'bold']],
    ...instances.map((instance): Line => {
      const state = stateOf(instance);
      const cells = row([instance.name, state, ...numbersOf(instance)]);
      const [first, second] = [columns[0][1], columns[1][1]].map(Math.abs) as [number, number];
      return [
        cells.slice(0, first),
        [cells.slice(first, first + second), stateStyles[state] ?? 'red'],
        cells.slice(first + second),
      ];
    }),
    [[row(['all', '', ...totals(instances)]), 'bold']],
  ];
}

function numbersOf({ sample, sentAway }: InstanceView): string[] {
  if (!sample) return Array<string>(7).fill('-');
  const { status, latencyP99, loopP99 } = sample;
  const left = status.state === 'draining' ? status.connections : status.leaving;
  return [
    short(status.connections),
    short(status.messagesPerSecond),
    short(status.deliveriesPerSecond),
    span(latencyP99),
    span(loopP99),
    `${Math.round(status.rssBytes / 1048576)}M`,
    sentAway > 0 ? `${short(left)}/${short(sentAway)}` : '-',
  ];
}

function totals(instances: readonly InstanceView[]): string[] {
  const worst = (of: (sample: Sample) => number | undefined) => {
    const values = instances.flatMap(({ sample }) => (sample ? [of(sample)] : [])).filter((v) => v !== undefined);
    return values.length > 0 ? Math.max(...values) : undefined;
  };
  return [
    short(sum(instances, ({ status }) => status.connections)),
    short(sum(instances, ({ status }) => status.messagesPerSecond)),
    short(sum(instances, ({ status }) => status.deliveriesPerSecond)),
    span(worst(({ latencyP99 }) => latencyP99)),
    span(worst(({ loopP99 }) => loopP99)),
    `${Math.round(sum(instances, ({ status }) => status.rssBytes) / 1048576)}M`,
    '',
  ];
}

export function createEventLine({ at, part, level, text, count }: Event): Line {
  const style = level === 'info' ? undefined : level === 'warn' ? 'yellow' : 'red';
  const said = `${text}${count > 1 ? ` (${count} times)` : ''}`;
  return [[clock(at).slice(0, 8), 'dim'], ` ${part.padEnd(6)}`, style ? [said, style] : said];
}

/** Everything that fits into so many rows. */
export function createFrame(view: View, rows: number, lastEvents: (count: number) => readonly Event[]): Line[] {
  const head = [...createHead(view), ...createTable(view)];
  // Air where there is room for it.
  const gap: Line[] = rows - head.length > 8 ? [[]] : [];
  const events = lastEvents(rows - head.length - gap.length - 1).map(createEventLine);
  const body = [...head, ...gap, ...events].slice(0, rows - 1);
  return [...body, ...Array<Line>(Math.max(0, rows - 1 - body.length)).fill([]), [['q leaves', 'dim']]];
}

function row(cells: readonly string[]): string {
  return columns
    .map(([, width], index) => {
      const cell = cells[index] ?? '';
      return width < 0 ? cell.slice(0, -width - 1).padEnd(-width) : cell.padStart(width);
    })
    .join('');
}

function sum(instances: readonly InstanceView[], of: (sample: Sample) => number): number {
  return instances.reduce((total, { sample }) => total + (sample ? of(sample) : 0), 0);
}

/** A count in five characters: 9999, 12.3k, 1.23M. */
function short(count: number): string {
  if (count < 10 && !Number.isInteger(count)) return count.toFixed(1);
  if (count < 10_000) return count.toFixed(0);
  if (count < 1_000_000) return `${(count / 1000).toFixed(count < 100_000 ? 1 : 0)}k`;
  return `${(count / 1_000_000).toFixed(2)}M`;
}

function span(seconds: number | undefined): string {
  if (seconds === undefined || Number.isNaN(seconds)) return '-';
  return seconds < 1 ? `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)}ms` : `${seconds.toFixed(1)}s`;
}
