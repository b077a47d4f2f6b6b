/** Whether members get their messages, in one sentence. Pure: from figures to words. */
import { instanceStates, type Level } from '../panel.ts';
import { count, duration, list, span } from './format.ts';
import type { ByInstance } from './prometheus.ts';

export interface Facts {
  /** Index in `instanceStates`. */
  states: ByInstance;
  connections: ByInstance;
  /** Sent away by a drain, and still here. */
  remaining: ByInstance;
  /** 1 while both links to Redis are up. */
  brokerUp: ByInstance;
  /** Seconds. */
  canaryAge: ByInstance;
  /** 0 while NGINX does not answer; NaN where nobody asks it. */
  nginxUp: number;
  /** Seconds since Prometheus last looked at the instances. */
  seenAge: number;
  /** Seconds, over the last moments; NaN without messages. */
  latency: number;
  /** Publishes per second that were refused because they could not be taken. */
  refused: number;
  /** Histories that could not be continued, in the range. */
  gaps: number;
  /** The severity of each alert that fires, by its name. */
  alerts: ReadonlyMap<string, string>;
  /** Seconds that are shown. */
  range: number;
  /** What is shown ended some time ago. */
  past: boolean;
}

export interface Verdict {
  level: Level;
  answer: string;
  detail: string;
}

/** deploy/dashboards/panels/overview.ts has the same limits. */
const SLOW_SECONDS = 0.25;
const LATE_SECONDS = 0.5;
const DEAF_SECONDS = 5;
/** Four looks that Prometheus missed. */
const STALE_SECONDS = 20;

export function judge(facts: Facts): Verdict {
  const { states, connections, remaining, brokerUp, canaryAge, latency, refused, gaps, alerts, range, past } = facts;
  const inState = (name: (typeof instanceStates)[number]['name']) =>
    [...states].filter(([, index]) => instanceStates[index]?.name === name).map(([instance]) => instance);
  const where = (values: ByInstance, test: (value: number) => boolean) =>
    [...values].filter(([, value]) => test(value)).map(([instance]) => instance);
  const are = (names: readonly string[]) => `${list(names)} ${names.length === 1 ? 'is' : 'are'}`;
  const sum = (values: ByInstance) => [...values.values()].reduce((total, value) => total + value, 0);

  const ready = inState('ready');
  const down = inState('down');
  const draining = inState('draining');
  const waiting = inState('not ready');
  const cutOff = where(brokerUp, (up) => up < 1);
  const deaf = where(canaryAge, (age) => age > DEAF_SECONDS);

  const critical = [...alerts].filter(([, severity]) => severity === 'critical').map(([name]) => name);

  const recently = past ? `in the ${span(range)} shown` : `in the last ${span(range)}`;
  const lost =
    gaps > 0
      ? `${count(Math.round(gaps), 'history', 'histories')} could not be continued ${recently}.`
      : `Nothing was lost ${recently}.`;
  const others = [
    down.length > 0 ? `${are(down)} down.` : '',
    draining.length > 0 ? `${are(draining)} draining, ${count(sum(remaining), 'connection')} left to move.` : '',
    waiting.length > 0 ? `${are(waiting)} not ready.` : '',
    alerts.size > 0 ? `${count(alerts.size, 'alert')} firing: ${list([...alerts.keys()])}.` : '',
  ];
  const say = (level: Level, answer: string, ...more: string[]): Verdict => ({
    level,
    answer,
    detail: [...more, ...others, lost].filter((part) => part !== '').join(' '),
  });

  if (states.size === 0) {
    return { level: 'bad', answer: 'No data', detail: 'Prometheus has no instance to scrape. Is the cluster running?' };
  }
  if (facts.seenAge > STALE_SECONDS) {
    return say('bad', `Unknown: no data for ${duration(Math.round(facts.seenAge))}`);
  }
  if (facts.nginxUp === 0) {
    return say('bad', 'No: NGINX is down', 'Nobody can connect, and all connections were lost.');
  }
  if (cutOff.length > 0 && cutOff.length === brokerUp.size) {
    return say('bad', 'No: Redis cannot be reached', 'Connections stay. Publishes are refused until Redis is back.');
  }
  if (ready.length === 0) return say('bad', 'No: no instance accepts connections');
  if (cutOff.length > 0 || deaf.length > 0) {
    const names = [...new Set([...cutOff, ...deaf])];
    return say(
      'bad',
      `Not on ${list(names)}`,
      names.length === 1
        ? 'Its Redis link is dead; missed messages are backfilled.'
        : 'Their Redis links are dead; missed messages are backfilled.',
    );
  }
  if (latency > LATE_SECONDS) return say('bad', `Late: 1 % take longer than ${duration(latency)}`);
  if (critical.length > 0) {
    return say('bad', `In doubt: ${list(critical)} ${critical.length === 1 ? 'fires' : 'fire'}`);
  }
  if (refused > 0) return say('warn', 'Yes, but some cannot send', 'Some publishes are refused; clients resend them.');
  if (gaps > 0) return say('warn', `Yes${past ? '' : ', now'}; some members were sent a gap event`);
  if (latency > SLOW_SECONDS) return say('warn', `Yes, slowly: 1 % take longer than ${duration(latency)}`);

  const pace = Number.isNaN(latency)
    ? `No message ${past ? 'then' : 'right now'}.`
    : `99 of 100 messages within ${duration(latency)}.`;
  const size = `${count(sum(connections), 'connection')} on ${count(ready.length + draining.length, 'instance')}.`;
  if (down.length > 0 || alerts.size > 0) return say('warn', 'Yes', size, pace);
  return say(draining.length > 0 || waiting.length > 0 ? 'busy' : 'good', 'Yes', size, pace);
}

/** What is left to say when Prometheus cannot be asked. @param since when it last answered, as a time of day */
export function unknown(since: string | undefined, reason: string): Verdict {
  return {
    level: 'bad',
    answer: `Unknown: Prometheus does not answer${since ? ` since ${since}` : ''}`,
    detail: reason,
  };
}
