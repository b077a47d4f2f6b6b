/** Results for the tests of the report and for pictures of it: made up, with the shapes of real runs, the same every time. */
import type { Restart, Result } from '../report/result.ts';

/** mulberry32: the same numbers for the same seed. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const CLIENTS = 600;
const instances = ['app1', 'app2', 'app3'];

const SECONDS = 120;

/** The seconds of a run in which clients leave each instance that restarts, and the delivery gap rises a little while they do. */
function timelineOf(restarts: readonly Restart[], random: () => number): Result['timeline'] {
  const share = Object.fromEntries(instances.map((name) => [name, CLIENTS / instances.length]));
  return Array.from({ length: SECONDS }, (_, at) => {
    const restart = restarts.find(({ from, to }) => from <= at && at < to);
    if (restart) move(share, restart.instance, (at - restart.from) / (restart.to - restart.from));
    const stress = restart ? 1 + 8 * Math.exp(-((at - restart.from - 5) ** 2) / 18) : 1;
    const latencyP50 = at === 0 ? null : round(0.9 + random() * 0.3 + stress * 0.1);
    return {
      at,
      clients: Math.min(CLIENTS, at * 250),
      deliveries: at < 3 ? at * 700 : Math.round(2100 + random() * 120),
      latencyP50,
      latencyP99: latencyP50 && round(latencyP50 * (2.4 + random()) * stress),
      gapP99: latencyP50 && round((5 + random() * 3) * stress),
      lost: 0,
      instances: at < 3 ? Object.fromEntries(instances.map((name) => [name, at * 84])) : { ...share },
    };
  });
}

/** A roll of three instances under load, in which nothing goes wrong. */
export function passingResult(seed = 1): Result {
  const restarts = instances.map((instance, index) => ({ instance, from: 20 + index * 30, to: 36.5 + index * 30 }));
  return resultOf(restarts, timelineOf(restarts, createRandom(seed)));
}

function resultOf(restarts: Restart[], timeline: Result['timeline']): Result {
  const deliveries = timeline.reduce((sum, second) => sum + second.deliveries, 0);
  return {
    script: 'rolling',
    tool: 'Node runner, not k6',
    startedAt: '2026-03-14T09:26:53.589Z',
    seconds: SECONDS,
    driver: 'native',
    url: 'ws://127.0.0.1:8080/ws',
    options: { CLIENTS: String(CLIENTS), ROOMS: '60', RATE: '210', DURATION: '2m' },
    verdict: 'PASS',
    exitCode: 0,
    thresholds: [
      ['clients_verified', `count==${CLIENTS}`, CLIENTS],
      ['lost', 'count==0', 0],
      ['doubled', 'count==0', 0],
      ['disordered', 'count==0', 0],
      ['refused', 'count==0', 0],
      ['reconnects', 'count>=1', CLIENTS + 212],
      ['delivery_latency', 'p(99)<=100', 14.83],
      ['delivery_gap', 'p(99)<=100', 48.2],
    ].map(([metric, expression, value]) => ({ metric, expression, value, ok: true })) as Result['thresholds'],
    metrics: {
      clients_verified: counter(CLIENTS),
      deliveries: counter(deliveries),
      lost: counter(0),
      doubled: counter(0),
      disordered: counter(0),
      refused: counter(0),
      gaps_told: counter(0),
      reconnects: counter(CLIENTS + 212),
      published: counter(Math.round(deliveries / 10)),
      acknowledged: counter(Math.round(deliveries / 10)),
      delivery_latency: trend(0.41, 1.12, 3.9, 6.71, 14.83, 61.2),
      delivery_gap: trend(0, 2.4, 8.1, 12.9, 48.2, 93.4),
      back_after: trend(3.1, 11.2, 22.6, 31, 57.9, 88),
      join_latency: trend(0.6, 2.1, 5.2, 8.4, 19.7, 44.1),
      ack_latency: trend(0.5, 1.4, 3.3, 5.9, 12.2, 58.7),
    },
    timeline,
    restarts,
    spread: { app1: 204, app2: 199, app3: 197 },
    errors: [],
    server: [
      {
        name: 'ws_messages_published_total',
        server: Math.round(deliveries / 10),
        clients: Math.round(deliveries / 10),
        ok: true,
      },
      { name: 'ws_messages_delivered_total', server: deliveries, clients: deliveries, ok: true },
      { name: 'ws_gaps_told_total', server: 0, clients: 0, ok: true },
    ],
    problem: '',
    notes: [],
    runnerShare: { p50: 0.18, p99: 0.92 },
    machine: { cpus: 2, memoryGb: 24, os: 'Linux 6.12, Debian 13' },
    versions: { node: 'v26.10.0', kit: '21696ce' },
  };
}

/** The same roll, in which app2 is killed while clients come back without a position: messages are lost, the gap is long. */
export function failingResult(seed = 2): Result {
  const killed = 50;
  const restarts = [{ instance: 'app2', from: killed, to: killed + 3.2 }];
  const result = resultOf(restarts, timelineOf(restarts, createRandom(seed)));
  for (const second of result.timeline) {
    const after = second.at - killed;
    if (after < 0 || after > 6) continue;
    second.gapP99 = 820 - after * 110;
    second.latencyP99 = (second.latencyP99 ?? 0) * (7 - after);
    second.deliveries = Math.round(second.deliveries * (after < 2 ? 0.66 : 0.95));
    second.lost = after === 1 ? 31 : after === 2 ? 6 : 0;
  }
  const broken: Readonly<Record<string, number>> = { lost: 37, delivery_gap: 812.4 };
  const { metrics } = result;
  return {
    ...result,
    script: 'crash',
    verdict: 'FAIL',
    exitCode: 99,
    options: { ...result.options, RESUME: 'false' },
    thresholds: result.thresholds.map((each) =>
      each.metric in broken ? { ...each, ok: false, value: broken[each.metric] ?? null } : each,
    ),
    metrics: { ...metrics, lost: counter(37), delivery_gap: trend(0, 2.5, 9.4, 41.7, 812.4, 1204) },
    errors: [
      { kind: 'closed 1006', count: 200 },
      { kind: 'handshake 503', count: 14 },
    ],
    server: result.server.map((each) =>
      each.name === 'ws_messages_delivered_total' ? { ...each, clients: each.server - 37, ok: false } : each,
    ),
  };
}

const round = (value: number): number => Math.round(value * 100) / 100;
const counter = (count: number) => ({
  type: 'counter' as const,
  contains: 'default' as const,
  values: { count, rate: count / 120 },
});

function trend(
  min: number,
  med: number,
  p90: number,
  p95: number,
  p99: number,
  max: number,
): Result['metrics'][string] {
  return {
    type: 'trend',
    contains: 'time',
    values: { min, med, 'p(90)': p90, 'p(95)': p95, 'p(99)': p99, max, avg: med * 1.3 },
  };
}

/** An instance that restarts gives its clients to the others, and gets none back. @param done how far it is, 0 to 1 */
function move(share: Record<string, number>, instance: string, done: number): void {
  const left = done >= 0.6 ? 0 : Math.round((share[instance] ?? 0) * 0.72);
  const [one = '', other = ''] = instances
    .filter((name) => name !== instance)
    .sort((a, b) => (share[a] ?? 0) - (share[b] ?? 0));
  const moved = (share[instance] ?? 0) - left;
  share[instance] = left;
  share[one] = (share[one] ?? 0) + Math.ceil(moved * 0.7);
  share[other] = (share[other] ?? 0) + moved - Math.ceil(moved * 0.7);
}
