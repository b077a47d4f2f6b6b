/** The top of the page: the verdict, the instances, and what happened to them. */
import { instanceStates } from '../panel.ts';
import { fillIn, inRange, quantile, rate, rateBy, state } from '../promql.ts';
import { byId, h, hueOf, styled } from './element.ts';
import { type InstanceEvent, readEvents } from './events.ts';
import { duration, format, timeOf } from './format.ts';
import type { Window } from './grid.ts';
import type { Mark } from './marks.ts';
import { type ByInstance, byInstance, byName, queryAt, queryRange } from './prometheus.ts';
import { judge, unknown, type Verdict } from './verdict.ts';

export interface Fleet {
  /**
   * Asks Prometheus and shows the answer. Resolves to the names of the instances and the moments to mark.
   * @param past whether the window ended some time ago
   */
  load(window: Window, past: boolean, signal: AbortSignal): Promise<{ instances: string[]; marks: Mark[] }>;
  /** Says that Prometheus could not be asked: no old verdict stands. */
  fail(reason: string): void;
}

/** A roll of three instances with its rebalance. */
const EVENTS_SHOWN = 6;

const now = {
  states: state(),
  connections: 'sum by (instance) (ws_connections)',
  remaining: 'sum by (instance) (ws_drain_remaining)',
  brokerUp: 'min by (instance) (ws_broker_up)',
  canaryAge: 'max by (instance) (ws_canary_age_seconds)',
  received: rateBy('instance', 'ws_messages_received_total'),
  delivered: rateBy('instance', 'ws_messages_delivered_total'),
  age: 'time() - max by (instance) (process_start_time_seconds{job="app"})',
} as const;
const whole = {
  latency: quantile(0.99, 'ws_delivery_latency_seconds'),
  refused: `sum(${rate('ws_messages_refused_total{code=~"UNAVAILABLE|INTERNAL"}')})`,
  gaps: inRange('ws_gaps_told_total'),
  nginxUp: 'max(nginx_up)',
  seenAge: 'time() - max(timestamp(up{job="app"}))',
} as const;
const history = {
  up: 'min by (instance) (min_over_time(up{job="app"}[$step]))',
  draining: 'max by (instance) (max_over_time(ws_draining[$step]))',
  starts: 'max by (instance) (process_start_time_seconds{job="app"})',
  connections: 'sum by (instance) (ws_connections)',
  opened: 'sum by (instance) (ws_connections_opened_total)',
  resumed: 'sum by (instance) (ws_resumes_total{recovery="recovered"})',
  broken: 'sum by (instance) (ws_resumes_total{recovery=~"rewound|gap"}) + sum by (instance) (ws_gaps_told_total)',
  sentAway: 'sum by (instance) (ws_drain_slot_lateness_seconds_count)',
} as const;

/** @param open shows an instance in depth */
export function createFleet(open: (instance: string) => void): Fleet {
  let all = false;
  let events: InstanceEvent[] = [];
  let answered: string | undefined;
  byId('events-more').addEventListener('click', () => {
    all = !all;
    writeEvents();
  });

  function writeVerdict({ level, answer, detail }: Verdict): void {
    byId('verdict').dataset['level'] = level;
    byId('answer').textContent = answer;
    byId('detail').textContent = detail;
  }

  function writeEvents(): void {
    const shown = all ? events : events.slice(0, EVENTS_SHOWN);
    byId('events').replaceChildren(
      ...shown.map(({ instance, level, at, text }) =>
        h(
          'li',
          { data: { level } },
          h('time', { dateTime: new Date(at * 1000).toISOString() }, timeOf(at)),
          h('span', {}, h('b', {}, instance), ` ${text}`),
        ),
      ),
      ...(events.length === 0 ? [h('li', { className: 'quiet' }, 'No instance started or stopped.')] : []),
    );
    const more = byId('events-more');
    more.hidden = events.length <= EVENTS_SHOWN;
    more.textContent = all ? 'Show the latest' : `Show all ${events.length}`;
  }

  function writeInstances(answers: Record<keyof typeof now, ByInstance>): void {
    byId('instances').replaceChildren(
      ...[...answers.states.keys()].sort(byName).map((name) => {
        const { name: word, level } = instanceStates[answers.states.get(name) ?? 0] ?? instanceStates[0];
        const left = answers.remaining.get(name) ?? 0;
        const held = answers.connections.get(name) ?? 0;
        const [received, delivered] = (['received', 'delivered'] as const).map((way) =>
          format('perSecond', answers[way].get(name) ?? 0),
        );
        const fact = (...content: (Node | string)[]) => h('span', { className: 'fact' }, ...content);
        const facts =
          word === 'down'
            ? [fact('does not answer')]
            : [
                fact(h('b', {}, format('count', held)), held === 1 ? ' connection' : ' connections'),
                fact(`${received} in, ${delivered} out`),
                fact(
                  word === 'draining'
                    ? `${left} left to move`
                    : `up ${duration(Math.round(answers.age.get(name) ?? 0))}`,
                ),
              ];
        const card = h(
          'button',
          { className: 'instance', type: 'button', data: { level }, onclick: () => open(name) },
          h('span', { className: 'instance-name' }, styled(h('i', { className: 'swatch' }), seriesColour(name)), name),
          h('span', { className: 'pill', data: { level } }, word),
          ...facts,
        );
        card.title = `${name} in depth`;
        return card;
      }),
    );
  }

  return {
    fail(reason) {
      writeVerdict(unknown(answered, reason));
    },
    async load(window, past, signal) {
      const { from, to, step } = window;
      const view = { range: to - from, step: 5, instance: '' };
      const ask = async <K extends string>(queries: Readonly<Record<K, string>>) => {
        const names = Object.keys(queries) as K[];
        const answers = await Promise.all(names.map((name) => queryAt(fillIn(queries[name], view), to, signal)));
        return Object.fromEntries(names.map((name, i) => [name, answers[i] ?? []])) as Record<K, (typeof answers)[0]>;
      };
      const askRange = async () => {
        const names = Object.keys(history) as (keyof typeof history)[];
        const answers = await Promise.all(
          names.map((name) => queryRange(history[name].replaceAll('$step', `${step}s`), from, to, step, signal)),
        );
        return Object.fromEntries(names.map((name, i) => [name, answers[i] ?? []])) as Record<
          keyof typeof history,
          (typeof answers)[0]
        >;
      };
      const [each, sums, alerts, rows] = await Promise.all([
        ask(now),
        ask(whole),
        queryAt('ALERTS{alertstate="firing"}', to, signal),
        askRange(),
      ]);
      const answers = Object.fromEntries(
        Object.entries(each).map(([name, series]) => [name, byInstance(series)]),
      ) as Record<keyof typeof now, ByInstance>;
      const sum = (name: keyof typeof whole) => sums[name][0]?.points[0]?.[1] ?? Number.NaN;
      answered = timeOf(Date.now() / 1000);
      writeVerdict(
        judge({
          ...answers,
          latency: sum('latency'),
          refused: sum('refused'),
          gaps: sum('gaps'),
          nginxUp: sum('nginxUp'),
          seenAge: sum('seenAge'),
          alerts: new Map(alerts.map(({ labels }) => [labels['alertname'] ?? '', labels['severity'] ?? ''])),
          range: to - from,
          past,
        }),
      );
      events = readEvents({ ...rows, step });
      writeInstances(answers);
      writeEvents();
      return {
        instances: [...answers.states.keys()].sort(byName),
        marks: events
          .filter(({ kind }) => kind !== 'roll')
          .map(({ at, instance, level }) => ({ at, name: instance, level })),
      };
    },
  };
}

function seriesColour(name: string): Record<string, string> {
  return { background: `oklch(var(--series-lightness) var(--series-chroma) ${hueOf(name)})` };
}
