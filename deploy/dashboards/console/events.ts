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
  /** Its name; `Roll` for several that were replaced one after the other. */
  instance: string;
  kind: 'drained' | 'killed' | 'restarted' | 'started' | 'roll';
  level: Level;
  /** When it began, in seconds since the epoch. */
  at: number;
  text: string;
}

type Points = Series['points'];

/** The end of a process, and of the time before which its clients had to be gone. */
interface End {
  instance: string;
  kind: 'drained' | 'killed' | 'restarted';
  /** When it was first seen to drain, or else to be gone. */
  began: number;
  ended: number;
  /** When the next process began. */
  back: number | undefined;
  /** Connections just before. */
  held: number;
}

/** How long after a process ended its clients are expected elsewhere. */
const SETTLE_SECONDS = 45;
/** Instances that are replaced with less than this in between are replaced in one roll. */
const ROLL_PAUSE_SECONDS = 60;

/** Newest first. */
export function readEvents(history: History): InstanceEvent[] {
  const names = [...new Set(history.up.map(({ labels }) => labels['instance'] ?? ''))].sort(byName);
  const ends = names.flatMap((name) => endsOf(name, history)).sort((a, b) => a.began - b.began);
  const killed = ends.filter(({ kind }) => kind === 'killed');
  const rolls = rollsOf(ends.filter(({ kind }) => kind !== 'killed'));
  const told = new Set(rolls.flat().map(({ instance, back }) => `${instance} ${back}`));
  const started = names.flatMap((instance) =>
    startsOf(instance, history)
      .filter((start) => start > (pointsOf(history.up, instance)[0]?.[0] ?? 0) && !told.has(`${instance} ${start}`))
      .map((at): InstanceEvent => ({ instance, kind: 'started', level: 'good', at, text: 'started.' })),
  );
  return [
    ...started,
    ...killed.map((end) => tellKill(end, ends, history)),
    ...rolls.flatMap((roll) => tellRoll(roll, history)),
  ].sort((a, b) => b.at - a.at);
}

function endsOf(instance: string, history: History): End[] {
  const { step } = history;
  const of = (series: readonly Series[]) => pointsOf(series, instance);
  const up = of(history.up);
  const starts = startsOf(instance, history);
  const downs = up.filter(([, value], i) => value === 0 && up[i - 1]?.[1] === 1).map(([time]) => time);
  // A process that ended is followed by the next one's start: some time after it was seen to be down, or at once.
  const backs = new Map(downs.map((down) => [down, starts.find((start) => start > down - 2 * step)]));
  const swaps = starts.slice(1).filter((start) => ![...backs.values()].includes(start));
  return [
    ...downs.map((ended) => ({ ended, back: backs.get(ended), down: true })),
    ...swaps.map((start) => ({ ended: start, back: start, down: false })),
  ].map(({ ended, back, down }) => {
    const life = starts.findLast((start) => start < ended) ?? 0;
    // What a point shows is a scrape before it: of the process before, even a moment after the next has begun.
    const drain = of(history.draining).find(([time, value]) => value === 1 && time > life && time <= ended + step)?.[0];
    const gone = down && (back === undefined || back - ended > step);
    const began = drain ?? ended;
    const kind = drain !== undefined ? 'drained' : gone ? 'killed' : 'restarted';
    const held = of(history.connections).findLast(([time]) => time < began)?.[1] ?? 0;
    return { instance, kind, began, ended, back, held };
  });
}

function rollsOf(ends: readonly End[]): End[][] {
  const rolls: End[][] = [];
  for (const end of ends) {
    const last = rolls.at(-1);
    const before = last?.at(-1);
    if (last && before && end.began - Math.max(before.ended, before.back ?? 0) < ROLL_PAUSE_SECONDS) last.push(end);
    else rolls.push([end]);
  }
  return rolls;
}

function tellKill(end: End, ends: readonly End[], history: History): InstanceEvent {
  const { instance, began, ended, held } = end;
  const next = ends.find((each) => each.began > began)?.began ?? Number.POSITIVE_INFINITY;
  const until = Math.max(ended + history.step, Math.min(ended + SETTLE_SECONDS, next - history.step));
  return {
    ...{ instance, kind: 'killed', level: 'bad', at: began },
    text: `went down without draining: ${count(held, 'connection')} cut. ${became(history, began - history.step, until)}`,
  };
}

/** One line for each; what became of their clients can only be told for all of them together. */
function tellRoll(roll: readonly End[], history: History): InstanceEvent[] {
  const [from, to] = [roll[0]?.began ?? 0, Math.max(...roll.map(({ ended }) => ended))];
  const sum = became(history, from - history.step, to + SETTLE_SECONDS);
  const lines = roll.map((end): InstanceEvent => {
    const { instance, kind, began, back, held } = end;
    const level: Level = 'busy';
    const connections = count(held, 'connection');
    if (kind !== 'drained') return { instance, kind, level, at: began, text: `was restarted, holding ${connections}.` };
    const after =
      back === undefined ? 'and has not come back' : `and was back within ${duration(back - began + history.step)}`;
    return { instance, kind, level, at: began, text: `drained ${connections} ${after}.` };
  });
  const [only] = lines;
  if (only && lines.length === 1) return [{ ...only, text: `${only.text} ${sum}` }];
  const text = `of ${count(new Set(roll.map(({ instance }) => instance)).size, 'instance')}. ${sum}`;
  const at = Math.max(to, ...roll.map(({ began }) => began));
  return [{ instance: 'Roll', kind: 'roll', level: 'good', at, text }, ...lines];
}

/** What the instances saw of the clients that came to them, between two times. */
function became(history: History, from: number, to: number): string {
  const grown = (series: readonly Series[]) =>
    series.reduce((sum, { labels, points }) => {
      const starts = new Map(pointsOf(history.starts, labels['instance'] ?? ''));
      return sum + growth(points, starts, from, to);
    }, 0);
  const opened = grown(history.opened);
  const broken = grown(history.broken);
  const loss = broken > 0 ? `${count(broken, 'room')} could not go on: something was lost.` : 'Nothing was lost.';
  if (opened === 0) return loss;
  return `Clients opened ${count(opened, 'connection')} and resumed ${count(grown(history.resumed), 'room')}. ${loss}`;
}

/** By how much a counter grew. That of another process began at 0. */
function growth(points: Points, starts: ReadonlyMap<number, number>, from: number, to: number): number {
  let sum = 0;
  for (const [index, [time, value]] of points.entries()) {
    const before = points[index - 1];
    if (!before || time <= from || time > to) continue;
    const same = starts.get(time) === starts.get(before[0]) && value >= before[1];
    sum += same ? value - before[1] : value;
  }
  return sum;
}

function startsOf(instance: string, { starts }: History): number[] {
  return [...new Set(pointsOf(starts, instance).map(([, start]) => start))].sort((a, b) => a - b);
}

function pointsOf(series: readonly Series[], instance: string): Points {
  return series.find(({ labels }) => labels['instance'] === instance)?.points ?? [];
}
