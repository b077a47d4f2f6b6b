/** What happened to the instances, told from a few series. Pure: from points to events. */
import type { Level } from '../panel.ts';
import { count, duration } from './format.ts';
import type { Points } from './grid.ts';
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
  /** Connections that a drain or a rebalance sent away, and that have left. */
  sentAway: readonly Series[];
  /** Seconds between two points. */
  step: number;
}

export interface InstanceEvent {
  /** Its name; `Rolling restart` for several that were replaced one after the other. */
  instance: string;
  kind: 'drained' | 'killed' | 'restarted' | 'started' | 'roll' | 'silent' | 'added' | 'left' | 'rebalanced';
  level: Level;
  /** When it began, in seconds since the epoch. */
  at: number;
  text: string;
}

/** The end of a process, and of the time before which its clients had to be gone. */
interface End {
  instance: string;
  kind: 'drained' | 'killed' | 'restarted' | 'left';
  /** When it was first seen to drain, or else to be gone. */
  began: number;
  ended: number;
  /** When the next process began. */
  back: number | undefined;
  /** Connections just before. */
  held: number;
}

/** A process that lives on evens out its connections. */
interface Rebalance extends InstanceEvent {
  until: number;
  moved: number;
}

/** How long after a process ended its clients are expected elsewhere. */
const SETTLE_SECONDS = 45;
/** Instances that are replaced with less than this in between are replaced in one roll. */
const ROLL_PAUSE_SECONDS = 60;
/** So many looks may be missing of an instance that is watched. */
const HOLE = 2;

/** Newest first. */
export function readEvents(history: History): InstanceEvent[] {
  const names = [...new Set(history.up.map(({ labels }) => labels['instance'] ?? ''))].sort(byName);
  const ends = names.flatMap((name) => endsOf(name, history)).sort((a, b) => a.began - b.began);
  const isAlone = ({ kind }: End) => kind === 'killed' || kind === 'left';
  const rolls = rollsOf(ends.filter((end) => !isAlone(end)));
  const rebalances = names.flatMap((name) => rebalancesOf(name, history));
  const told = new Set(rolls.flat().map(({ instance, back }) => `${instance} ${back}`));
  const came = names.flatMap((instance): InstanceEvent[] => {
    const { joins } = watchOf(instance, history);
    const first = joins.map((at) => startAt(instance, history, at));
    return [
      ...joins.map((at): InstanceEvent => ({ instance, kind: 'added', level: 'good', at, text: 'was added.' })),
      ...startsOf(instance, history)
        .filter((start) => start > (pointsOf(history.up, instance)[0]?.[0] ?? 0) && !first.includes(start))
        .filter((start) => !told.has(`${instance} ${start}`))
        .map((at): InstanceEvent => ({ instance, kind: 'started', level: 'good', at, text: 'started.' })),
    ];
  });
  return [
    ...rolls.flatMap((roll) => tellRoll(roll, rebalances, history)),
    ...came,
    ...ends.filter(isAlone).map((end) => tellAlone(end, ends, history)),
    ...names.flatMap((name) => silencesOf(name, history)),
    ...rebalances.map(({ until: _, moved: __, ...event }) => event),
  ].sort((a, b) => b.at - a.at);
}

/** When Prometheus began and ceased to watch it, while it watched others. */
function watchOf(instance: string, { up }: History): { joins: number[]; leaves: number[] } {
  const times = [...new Set(up.flatMap(({ points }) => points.map(([time]) => time)))].sort((a, b) => a - b);
  const places = new Map(times.map((time, place) => [time, place]));
  const own = pointsOf(up, instance).map(([time]) => time);
  const place = (index: number, beyond: number) => places.get(own[index] ?? Number.NaN) ?? beyond;
  const isFar = (index: number) => place(index, times.length) - place(index - 1, -1) > HOLE + 1;
  return {
    joins: own.filter((_, index) => isFar(index)),
    leaves: own.filter((_, index) => isFar(index + 1)),
  };
}

/** Times at which it ceased to answer, and again did. */
function downsOf(instance: string, { up }: History): { down: number; again: number | undefined }[] {
  const points = pointsOf(up, instance);
  return points
    .filter(([, value], i) => value === 0 && points[i - 1]?.[1] === 1)
    .map(([down]) => ({ down, again: points.find(([time, value]) => time > down && value === 1)?.[0] }));
}

/** The process that did not answer is the one that answers again: it was too busy, or the network was away. */
function isSilence(instance: string, history: History, down: number): boolean {
  const before = pointsOf(history.starts, instance).findLast(([time]) => time < down)?.[1];
  return before !== undefined && before === startAt(instance, history, down);
}

function silencesOf(instance: string, history: History): InstanceEvent[] {
  return downsOf(instance, history)
    .filter(({ down }) => isSilence(instance, history, down))
    .map(({ down, again = down + history.step }) => {
      return {
        instance,
        kind: 'silent',
        level: 'busy',
        at: down,
        text: `did not answer for ${duration(again - down)}.`,
      };
    });
}

function endsOf(instance: string, history: History): End[] {
  const { step } = history;
  const of = (series: readonly Series[]) => pointsOf(series, instance);
  const starts = startsOf(instance, history);
  const { joins, leaves } = watchOf(instance, history);
  const deaths = downsOf(instance, history).filter(({ down }) => !isSilence(instance, history, down));
  // Its target was taken away, before or after it was seen to be down.
  const isDead = (at: number, { down, again = Number.POSITIVE_INFINITY }: (typeof deaths)[0]) =>
    at >= down && at < again;
  const quiet = leaves.filter((at) => !deaths.some((death) => isDead(at, death)));
  // A process that ended is followed by the next one's start: some time after it was seen to be down, or at once.
  const backs = new Map(deaths.map(({ down }) => [down, starts.find((start) => start > down - 2 * step)]));
  const known = [...backs.values(), ...joins.map((at) => startAt(instance, history, at))];
  const swaps = starts.slice(1).filter((start) => !known.includes(start));
  return [
    ...deaths.map((death) => {
      const left = leaves.some((at) => isDead(at, death));
      return { ended: death.down, back: backs.get(death.down), down: true, left };
    }),
    ...quiet.map((at) => ({ ended: at + step, back: undefined, down: false, left: true })),
    ...swaps.map((start) => ({ ended: start, back: start, down: false, left: false })),
  ].map(({ ended, back, down, left }) => {
    // Not the last start before it was missed: its successor's may be.
    const life = of(history.starts).findLast(([time]) => time < ended)?.[1] ?? 0;
    // What a point shows is a scrape before it: of the process before, even a moment after the next has begun.
    const drain = of(history.draining).find(([time, value]) => value === 1 && time > life && time <= ended + step)?.[0];
    const gone = down && (back === undefined || back - ended > step);
    const began = drain ?? ended;
    const killed = drain === undefined && gone;
    const kind = killed ? 'killed' : left ? 'left' : drain !== undefined ? 'drained' : 'restarted';
    // The others' clients came to it until its own drain began.
    const connections = of(history.connections);
    const last = connections.findLastIndex(([time]) => time < began);
    const during = connections.slice(Math.max(last, 0)).filter(([time], i) => i === 0 || time < ended);
    const held = last < 0 ? 0 : Math.max(...during.map(([, value]) => value));
    return { instance, kind, began, ended, back, held };
  });
}

/** A counter of those sent away that grows without a drain. */
function rebalancesOf(instance: string, history: History): Rebalance[] {
  const starts = new Map(pointsOf(history.starts, instance));
  const draining = new Map(pointsOf(history.draining, instance));
  const points = pointsOf(history.sentAway, instance);
  const found: Rebalance[] = [];
  for (const [index, [at, value]] of points.entries()) {
    const [before, old] = points[index - 1] ?? [at, value];
    if (value <= old || draining.get(at) === 1 || starts.get(at) !== starts.get(before)) continue;
    const last = found.at(-1);
    const first = last && at - last.until < ROLL_PAUSE_SECONDS ? found.pop() : undefined;
    const moved = (first?.moved ?? 0) + value - old;
    const text = `handed over ${count(moved, 'connection')} (rebalance).`;
    found.push({ instance, kind: 'rebalanced', level: 'busy', at: first?.at ?? at, text, until: at, moved });
  }
  return found;
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

function tellAlone(end: End, ends: readonly End[], history: History): InstanceEvent {
  const { instance, began, ended, held } = end;
  const next = ends.find((each) => each.began > began)?.began ?? Number.POSITIVE_INFINITY;
  const until = Math.max(ended + history.step, Math.min(ended + SETTLE_SECONDS, next - history.step));
  const { lost, text } = became(history, justBefore(began, history), until, held);
  const connections = count(held, 'connection');
  return end.kind === 'killed'
    ? {
        instance,
        kind: 'killed',
        level: 'bad',
        at: began,
        text: `went down without draining: ${connections} cut. ${text}`,
      }
    : { instance, kind: 'left', level: lost ? 'bad' : 'busy', at: began, text: `left: ${connections} moved. ${text}` };
}

/** One line for each; what became of their clients can only be told for all of them together. */
function tellRoll(roll: readonly End[], rebalances: readonly Rebalance[], history: History): InstanceEvent[] {
  const from = justBefore(roll[0]?.began ?? 0, history);
  const ended = Math.max(...roll.map((end) => end.ended));
  const evened = roll.length > 1 ? rebalances.filter(({ at }) => at > from && at <= ended + SETTLE_SECONDS) : [];
  const to = Math.max(ended, ...evened.map(({ until }) => until));
  const sentAway = roll.reduce((sum, { held }) => sum + held, 0);
  const moved = evened.reduce((sum, each) => sum + each.moved, 0);
  const { lost, settled, text } = became(history, from, to + SETTLE_SECONDS, sentAway + moved);
  const level = (well: Level): Level => (lost ? 'bad' : roll.some(({ back }) => back === undefined) ? 'warn' : well);
  const lines = roll.map(({ instance, kind, began, back, held }): InstanceEvent => {
    const connections = count(held, 'connection');
    const line = { instance, kind, level: back === undefined ? 'warn' : 'busy', at: began } as const;
    if (kind !== 'drained') return { ...line, text: `was restarted, holding ${connections}.` };
    const after =
      back === undefined ? 'and has not come back' : `and was back within ${duration(back - began + history.step)}`;
    return { ...line, text: `drained ${connections} ${after}.` };
  });
  const [only] = lines;
  if (only && lines.length === 1) return [{ ...only, level: level('busy'), text: `${only.text} ${text}` }];
  const instances = count(new Set(roll.map(({ instance }) => instance)).size, 'instance');
  const more = moved > 0 ? `, and ${moved} more in the rebalance` : '';
  return [
    {
      ...{ instance: 'Rolling restart', kind: 'roll', level: level(settled ? 'good' : 'busy') },
      at: Math.max(ended, ...roll.map(({ began }) => began), ...evened.map(({ at }) => at)),
      text: `of ${instances}, which sent away ${count(sentAway, 'connection')}${more}. ${text}`,
    },
    ...lines,
  ];
}

/** Prometheus scrapes each instance at a different time: others may have taken the first clients before one was last scraped. */
const justBefore = (began: number, { step }: History) => began - 2 * step;

/** What the instances saw, between two times, of so many clients that had to move. */
function became(
  history: History,
  from: number,
  to: number,
  moved: number,
): { lost: boolean; settled: boolean; text: string } {
  const grown = (series: readonly Series[]) =>
    series.reduce((sum, { labels, points }) => {
      const starts = new Map(pointsOf(history.starts, labels['instance'] ?? ''));
      return sum + growth(points, starts, from, to);
    }, 0);
  const now = Math.max(...history.up.map(({ points }) => points.at(-1)?.[0] ?? 0));
  const opened = grown(history.opened);
  const broken = grown(history.broken);
  const settled = opened >= moved || now >= to;
  const lost = broken > 0;
  const loss = lost ? `${count(broken, 'room')} could not be continued: messages were lost.` : 'Nothing was lost.';
  const tell = () => {
    if (!settled) return `${lost ? `${loss} ` : ''}${opened} of ${moved} are back so far.`;
    // Whether those that stay away missed something, nobody knows.
    if (opened === 0) return lost || moved === 0 ? loss : 'No client has reconnected.';
    return `Clients opened ${count(opened, 'connection')} and resumed ${count(grown(history.resumed), 'room')}. ${loss}`;
  };
  return { lost, settled, text: tell() };
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

/** When the process began that answered then, or next. */
function startAt(instance: string, { starts }: History, at: number): number | undefined {
  return pointsOf(starts, instance).find(([time]) => time >= at)?.[1];
}

function startsOf(instance: string, { starts }: History): number[] {
  return [...new Set(pointsOf(starts, instance).map(([, start]) => start))].sort((a, b) => a - b);
}

function pointsOf(series: readonly Series[], instance: string): Points {
  return series.find(({ labels }) => labels['instance'] === instance)?.points ?? [];
}
