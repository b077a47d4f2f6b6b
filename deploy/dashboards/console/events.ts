/** What happened to the instances, told from a few series. Pure: from points to events. */
import type { Level } from '../panel.ts';
import { count, duration } from './format.ts';
import { byName, type Series } from './prometheus.ts';

/** Each by label `instance`, over the same times. */
export interface History {
  /** Whether it answered Prometheus: 0 or 1. */
  up: readonly Series[];
  /** 0 or 1. */
  draining: readonly Series[];
  /** When the process began. */
  starts: readonly Series[];
  connections: readonly Series[];
  /** Counters. */
  opened: readonly Series[];
  resumed: readonly Series[];
  /** Rooms that could not be resumed, and gaps told. */
  broken: readonly Series[];
  /** Seconds between two points. */
  step: number;
}

export interface InstanceEvent {
  instance: string;
  kind: 'drained' | 'killed' | 'restarted' | 'started';
  level: Level;
  /** When it began, in seconds since the epoch. */
  at: number;
  text: string;
}

type Points = Series['points'];

/** How long after an instance was cut off its clients are expected elsewhere. */
const SETTLE_SECONDS = 45;

export function readEvents(history: History): InstanceEvent[] {
  const names = [...new Set(history.up.map(({ labels }) => labels['instance'] ?? ''))].sort(byName);
  return names.flatMap((name) => eventsOf(name, history)).sort((a, b) => b.at - a.at || byName(a.instance, b.instance));
}

function eventsOf(instance: string, history: History): InstanceEvent[] {
  const { step } = history;
  const of = (series: readonly Series[]) => pointsOf(series, instance);
  const up = of(history.up);
  const begun = up[0]?.[0] ?? 0;
  const starts = [...new Set(of(history.starts).map(([, start]) => start))].sort((a, b) => a - b);
  const events: InstanceEvent[] = [];

  // Ends: where it stops to answer, and where another process answers at once.
  const downs = up.filter(([, value], i) => value === 0 && up[i - 1]?.[1] === 1).map(([time]) => time);
  const swaps = starts.slice(1).filter((start) => !downs.some((down) => down <= start + step && start - down < 3600));
  const ends = [...downs.map((at) => ({ at, down: true })), ...swaps.map((at) => ({ at, down: false }))];

  /** Beginnings that are part of another event. */
  const told = new Set<number | undefined>();
  for (const { at, down } of ends) {
    const back = starts.find((start) => start > at - 2 * step);
    const life = starts.findLast((start) => start < at) ?? 0;
    const since = of(history.draining).find(([time, value]) => value === 1 && time > life && time <= at)?.[0];
    const began = since ?? at;
    const held = of(history.connections).findLast(([time]) => time < began)?.[1] ?? 0;
    const killed = since === undefined && down && (back === undefined || back - at > step);
    // Whoever drains is left before it ends, and then, in a roll, it is the next one's turn.
    const settled = killed
      ? at + SETTLE_SECONDS
      : Math.max(at, Math.min(at + step, nextDrain(history, instance, at) - step));
    const moved = movedTo(history, instance, began - step, settled);
    if (!killed) told.add(back);
    if (since !== undefined) {
      const after =
        back === undefined ? 'and has not come back' : `and was back after ${duration(Math.max(1, back - since))}`;
      events.push({
        ...{ instance, kind: 'drained', level: 'busy', at: since },
        text: `drained ${count(held, 'connection')} ${after}. ${moved}`,
      });
    } else if (killed) {
      events.push({
        ...{ instance, kind: 'killed', level: 'bad', at },
        text: `went down without draining: ${count(held, 'connection')} cut. ${moved}`,
      });
    } else {
      events.push({
        ...{ instance, kind: 'restarted', level: 'busy', at: back ?? at },
        text: `was restarted, holding ${count(held, 'connection')}. ${moved}`,
      });
    }
  }
  for (const start of starts) {
    if (start > begun && !told.has(start))
      events.push({ instance, kind: 'started', level: 'good', at: start, text: 'started.' });
  }
  return events;
}

/** When another instance is first seen to drain. */
function nextDrain({ draining }: History, instance: string, after: number): number {
  const times = draining
    .filter(({ labels }) => labels['instance'] !== instance)
    .flatMap(({ points }) => points.filter(([time, value]) => value === 1 && time > after).map(([time]) => time));
  return Math.min(...times, Number.POSITIVE_INFINITY);
}

/** What the other instances saw of its clients. */
function movedTo(history: History, instance: string, from: number, to: number): string {
  const grown = (series: readonly Series[]) =>
    series
      .filter(({ labels }) => labels['instance'] !== instance)
      .reduce((sum, { points }) => sum + growth(points, from, to), 0);
  const opened = grown(history.opened);
  const broken = grown(history.broken);
  const loss = broken > 0 ? `${count(broken, 'room')} could not go on: something was lost.` : 'Nothing was lost.';
  if (opened === 0) return loss;
  return `The others took ${count(opened, 'connection')} and resumed ${count(grown(history.resumed), 'room')}. ${loss}`;
}

/** By how much a counter grew; from 0 again when its process was replaced. */
function growth(points: Points, from: number, to: number): number {
  let sum = 0;
  for (const [index, [time, value]] of points.entries()) {
    const before = points[index - 1];
    if (before && time > from && time <= to) sum += value >= before[1] ? value - before[1] : value;
  }
  return sum;
}

function pointsOf(series: readonly Series[], instance: string): Points {
  return series.find(({ labels }) => labels['instance'] === instance)?.points ?? [];
}
