/** What the console page says: the verdict, and the events that it reads out of the series. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { type History, readEvents } from '../../dashboards/console/events.ts';
import { stack } from '../../dashboards/console/grid.ts';
import { queryAt, type Series } from '../../dashboards/console/prometheus.ts';
import { type Facts, judge, unknown } from '../../dashboards/console/verdict.ts';
import { levelOf, linesOf, noneIsGood, warnAbove } from '../../dashboards/panel.ts';
import { dashboards } from '../../dashboards/panels.ts';
import { fillIn, state, stepOf } from '../../dashboards/promql.ts';

const each = (values: Record<string, number>) => new Map(Object.entries(values));
const well: Facts = {
  states: each({ app1: 3, app2: 3, app3: 3 }),
  connections: each({ app1: 20, app2: 20, app3: 20 }),
  remaining: each({ app1: 0, app2: 0, app3: 0 }),
  brokerUp: each({ app1: 1, app2: 1, app3: 1 }),
  canaryAge: each({ app1: 0.5, app2: 0.9, app3: 0.1 }),
  latency: 0.003,
  refused: 0,
  gaps: 0,
  nginxUp: 1,
  seenAge: 3,
  alerts: new Map(),
  range: 900,
  past: false,
};

describe('the verdict', () => {
  test.each<[string, Partial<Facts>, string, string]>([
    ['all is well', {}, 'good', 'Yes: 60 connections on 3 instances. 99 of 100 messages within 3 ms. Nothing was lost'],
    ['nobody writes', { latency: Number.NaN }, 'good', 'Yes: 60 connections on 3 instances. No message right now.'],
    [
      'one drains',
      { states: each({ app1: 3, app2: 1 }), remaining: each({ app2: 7 }) },
      'busy',
      'app2 is draining, 7 connections left to move.',
    ],
    ['one is down', { states: each({ app1: 3, app2: 0 }) }, 'warn', 'app2 is down.'],
    [
      'an alert fires',
      { alerts: new Map([['CertificateEnds', 'warning']]) },
      'warn',
      'Yes: 60 connections on 3 instances. 99 of 100 messages within 3 ms. 1 alert firing: CertificateEnds.',
    ],
    [
      'a critical alert fires',
      { alerts: new Map([['GapsTold', 'critical']]), gaps: 3 },
      'bad',
      'In doubt: GapsTold fires',
    ],
    ['NGINX is down', { nginxUp: 0, connections: each({ app1: 0 }) }, 'bad', 'No: NGINX is down: Nobody can connect'],
    ['nobody asks NGINX', { nginxUp: Number.NaN }, 'good', 'Yes'],
    ['Prometheus looks at nothing any more', { seenAge: 73 }, 'bad', 'Unknown: no data for 1m 13s'],
    [
      'the past is looked at',
      { past: true, latency: Number.NaN },
      'good',
      'No message then. Nothing was lost in the 15 minutes shown.',
    ],
    ['a gap was told in the past', { past: true, gaps: 1 }, 'warn', 'Yes; some members were sent a gap event'],
    [
      'two hear nothing',
      { canaryAge: each({ app1: 8, app2: 9 }) },
      'bad',
      'Not on app1 and app2: Their Redis links are dead; missed messages',
    ],
    ['publishes are refused', { refused: 2 }, 'warn', 'Yes, but some cannot send'],
    ['a gap was told', { gaps: 3 }, 'warn', '3 histories could not be continued in the last 15 minutes.'],
    ['messages are slow', { latency: 0.4 }, 'warn', 'Yes, slowly'],
    ['messages are late', { latency: 2 }, 'bad', 'Late: 1 % take longer than 2 s'],
    ['one hears nothing', { canaryAge: each({ app1: 0.5, app2: 9 }) }, 'bad', 'Not on app2'],
    ['one lost Redis', { brokerUp: each({ app1: 1, app2: 0 }) }, 'bad', 'Not on app2'],
    [
      'Redis is gone',
      { brokerUp: each({ app1: 0, app2: 0 }), states: each({ app1: 2, app2: 2 }) },
      'bad',
      'No: Redis cannot be reached',
    ],
    [
      'all are down',
      { states: each({ app1: 0, app2: 0 }), brokerUp: each({}) },
      'bad',
      'No: no instance accepts connections',
    ],
    ['nothing is known', { states: each({}) }, 'bad', 'No data'],
  ])('when %s', (_, facts, level, words) => {
    const verdict = judge({ ...well, ...facts });
    expect(verdict.level).toBe(level);
    expect(`${verdict.answer}: ${verdict.detail}`).toContain(words);
  });
});

test('a Prometheus that hangs is given up, and the verdict is that nothing is known', async () => {
  vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => AbortSignal.abort(`after ${ms}`));
  vi.stubGlobal('fetch', async (_: string, { signal }: RequestInit) => signal?.throwIfAborted());
  await expect(queryAt('up', 0, new AbortController().signal)).rejects.toThrow('No answer within 8 s');
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  expect(unknown('13:08:13', 'No answer within 8 s')).toMatchObject({
    level: 'bad',
    answer: 'Unknown: Prometheus does not answer since 13:08:13',
  });
});

describe('what happened', () => {
  const STEP = 5;
  /** Series over times 0, 5, 10, ...; null where there is no point. */
  const series = (values: Record<string, (number | null)[]>): Series[] =>
    Object.entries(values).map(([instance, row]) => ({
      labels: { instance },
      points: row.flatMap((value, index) => (value === null ? [] : [[index * STEP, value] as const])),
    }));
  const history = (
    rows: Partial<Record<Exclude<keyof History, 'step'>, Record<string, (number | null)[]>>>,
  ): History => {
    const of = (name: keyof typeof rows) => series(rows[name] ?? {});
    return {
      ...{ up: of('up'), draining: of('draining'), starts: of('starts'), connections: of('connections') },
      ...{ opened: of('opened'), resumed: of('resumed'), broken: of('broken') },
      ...{ sentAway: of('sentAway'), step: STEP },
    };
  };
  const told = (from: History) => readEvents(from).map(({ kind, at, text }) => ({ kind, at, text }));

  test('is nothing while all run on', () => {
    expect(told(history({ up: { app1: [1, 1, 1] }, starts: { app1: [-900, -900, -900] } }))).toEqual([]);
  });

  test('is a drain with what became of its connections, and how long it took', () => {
    const rolled = history({
      up: { app1: [1, 1, 1, 0, 1, 1], app2: [1, 1, 1, 1, 1, 1] },
      draining: { app1: [0, 1, 1, null, 0, 0], app2: [0, 0, 0, 0, 0, 0] },
      starts: { app1: [-900, -900, -900, null, 18, 18], app2: [-900, -900, -900, -900, -900, -900] },
      connections: { app1: [30, 20, 4, null, 0, 0], app2: [30, 40, 56, 60, 60, 60] },
      opened: { app2: [30, 40, 56, 60, 60, 60] },
      resumed: { app2: [0, 20, 52, 60, 60, 60] },
      broken: { app2: [0, 0, 0, 0, 0, 0] },
    });
    expect(told(rolled)).toEqual([
      {
        kind: 'drained',
        at: 5,
        text: 'drained 30 connections and was back within 18 s. Clients opened 30 connections and resumed 60 rooms. Nothing was lost.',
      },
    ]);
  });

  test('is a drain even if the next process began before the last one was missed', () => {
    const rolled = history({
      up: { app2: [1, 1, 0, 1], app1: [1, 1, 1, 1] },
      draining: { app2: [0, 1, null, 0] },
      starts: { app2: [-900, -900, null, 8], app1: [-900, -900, -900, -900] },
      connections: { app2: [80, 115, null, 9] },
      opened: { app1: [0, 0, 115, 115] },
    });
    expect(told(rolled)).toMatchObject([{ kind: 'drained', text: expect.stringContaining('drained 115 connections') }]);
  });

  test('is a kill when it goes without a drain, and a start when it comes back', () => {
    const killed = history({
      up: { app1: [1, 1, 0, 0, 0, 1], app2: [1, 1, 1, 1, 1, 1] },
      draining: { app1: [0, 0, null, null, null, 0] },
      starts: { app1: [-900, -900, null, null, null, 22], app2: [-900, -900, -900, -900, -900, -900] },
      connections: { app1: [30, 31, null, null, null, 0] },
      opened: { app2: [30, 30, 61, 61, 61, 61] },
      resumed: { app2: [0, 0, 62, 62, 62, 62] },
      broken: { app2: [0, 0, 1, 1, 1, 1] },
    });
    expect(told(killed)).toEqual([
      { kind: 'started', at: 22, text: 'started.' },
      {
        kind: 'killed',
        at: 10,
        text: 'went down without draining: 31 connections cut. Clients opened 31 connections and resumed 62 rooms. 1 room could not be continued: messages were lost.',
      },
    ]);
  });

  test('is a kill even soon after a drain of the process before', () => {
    const both = history({
      up: { app1: [1, 1, 1, 1, 0, 0, 0] },
      draining: { app1: [0, 1, 0, 0, null, null, null] },
      starts: { app1: [-900, -900, 8, 8, null, null, null] },
      connections: { app1: [30, 20, 0, 9, null, null, null] },
    });
    expect(told(both).map(({ kind, at }) => ({ kind, at }))).toEqual([
      { kind: 'killed', at: 20 },
      { kind: 'drained', at: 5 },
    ]);
  });

  test('is a restart when another process answers between two looks', () => {
    const swapped = history({
      up: { app1: [1, 1, 1, 1] },
      starts: { app1: [-900, -900, 8, 8] },
      connections: { app1: [2, 2, 0, 2] },
      opened: { app1: [2, 2, 0, 2] },
    });
    expect(told(swapped)).toEqual([
      {
        kind: 'restarted',
        at: 8,
        text: 'was restarted, holding 2 connections. Clients opened 2 connections and resumed 0 rooms. Nothing was lost.',
      },
    ]);
  });

  test('is a roll with one sum when one is replaced after the other, however soon after a kill', () => {
    const rolled = history({
      up: { app1: [1, 1, 1, 1, 1, 1, 1], app2: [1, 0, 0, 1, 1, 1, 1] },
      draining: { app1: [0, 0, 0, 1, 0, 0, 0], app2: [0, null, null, 0, 0, 1, 0] },
      // Another process answers before the old one was missed; the last look at it comes after the new one began.
      starts: { app1: [-90, -90, -90, -90, 17, 17, 17], app2: [-90, null, null, 12, 12, 12, 24] },
      connections: { app1: [30, 60, 60, 40, 10, 60, 30], app2: [30, null, null, 20, 50, 2, 30] },
      opened: { app1: [30, 60, 60, 60, 10, 60, 60], app2: [30, null, null, 0, 60, 60, 90] },
    });
    expect(told(rolled)).toEqual([
      {
        kind: 'roll',
        at: 25,
        text: 'of 2 instances, which sent away 110 connections. Clients opened 210 connections and resumed 0 rooms. Nothing was lost.',
      },
      { kind: 'drained', at: 25, text: 'drained 50 connections and was back within 4 s.' },
      { kind: 'drained', at: 15, text: 'drained 60 connections and was back within 7 s.' },
      { kind: 'started', at: 12, text: 'started.' },
      { kind: 'killed', at: 5, text: expect.stringContaining('30 connections cut') },
    ]);
  });

  test('is no crash when the same process answers again', () => {
    const busy = history({
      up: { app1: [1, 0, 0, 1, 1] },
      starts: { app1: [-900, null, null, -900, -900] },
      connections: { app1: [160, null, null, 160, 160] },
    });
    expect(readEvents(busy)).toEqual([
      { instance: 'app1', kind: 'silent', level: 'busy', at: 5, text: 'did not answer for 10 s.' },
    ]);
  });

  test('counts clients that others had before the killed one was missed', () => {
    const { text } = told(
      history({
        up: { app1: [1, 1, 0, 0], app2: [1, 1, 1, 1] },
        starts: { app1: [-900, -900], app2: [-900, -900, -900, -900] },
        connections: { app1: [30, 30] },
        opened: { app2: [30, 55, 60, 60] },
      }),
    )[0] as { text: string };
    expect(text).toContain('Clients opened 30 connections');
  });

  test('is not yet known to have lost nothing while clients are away', () => {
    const rows = (points: number) => ({
      up: { app1: [1, 0, ...Array(points).fill(0)], app2: [1, 1, ...Array(points).fill(1)] },
      starts: { app1: [-900], app2: [-900, -900, ...Array(points).fill(-900)] },
      connections: { app1: [30] },
      opened: { app2: [30, 30, ...Array(points).fill(42)] },
    });
    const [early, late] = [1, 9].map((points) => told(history(rows(points)))[0]?.text);
    expect(early).toBe('went down without draining: 30 connections cut. 12 of 30 are back so far.');
    expect(late).toMatch(/Clients opened 12 connections and resumed 0 rooms. Nothing was lost.$/);
    const nobody = told(history({ ...rows(9), opened: {} }));
    expect(nobody[0]?.text).toMatch(/30 connections cut. No client has reconnected.$/);
  });

  test.each<[string, Partial<Parameters<typeof history>[0]>, string]>([
    ['good', {}, 'good'],
    ['bad when something was lost', { broken: { app1: [0, 0, 0, 0, 0, 0], app2: [0, 0, 0, 0, 2, 2] } }, 'bad'],
    ['a warning when one has not come back', { up: { app1: [1, 1, 1, 1, 1, 1], app2: [1, 1, 1, 1, 1, 0] } }, 'warn'],
    ['under way while clients are away', { opened: { app1: [9, 9, 0, 1, 1, 1] } }, 'busy'],
  ])('is a roll that is %s', (_, other, level) => {
    const rolled = history({
      up: { app1: [1, 1, 1, 1, 1, 1], app2: [1, 1, 1, 1, 1, 1] },
      starts: { app1: [-90, -90, 8, 8, 8, 8], app2: [-90, -90, -90, -90, ...('up' in other ? [-90] : [18, 18])] },
      draining: { app1: [0, 1, 0, 0, 0, 0], app2: [0, 0, 0, 1, 0] },
      connections: { app1: [9, 9, 0, 9, 9, 9], app2: [9, 9, 9, 9, 9, 9] },
      opened: { app1: [9, 9, 0, 20, 20, 20] },
      ...other,
    });
    expect(readEvents(rolled)[0]).toMatchObject({ kind: 'roll', level });
  });

  test('is an instance that was added, and one that left with its target', () => {
    const scaled = history({
      up: { app1: Array(8).fill(1), app2: [1, 1, 1, 1], app3: [null, null, null, null, 1, 1, 1, 1] },
      starts: { app1: Array(8).fill(-900), app2: Array(4).fill(-900), app3: [null, null, null, null, 18, 18, 18, 18] },
      connections: {
        app1: [20, 20, 20, 20, 40, 40, 40, 40],
        app2: [20, 20, 20, 20],
        app3: [null, null, null, null, 0],
      },
      opened: { app1: [20, 20, 20, 20, 40, 40, 40, 40] },
      resumed: { app1: [0, 0, 0, 0, 20, 20, 20, 20] },
    });
    expect(told(scaled)).toEqual([
      { kind: 'added', at: 20, text: 'was added.' },
      {
        kind: 'left',
        at: 20,
        text: 'left: 20 connections moved. Clients opened 20 connections and resumed 20 rooms. Nothing was lost.',
      },
    ]);
  });

  test('is nobody added or gone when Prometheus misses a look, or begins with one before the other', () => {
    const up = { app1: [1, 1, null, 1, 1, 1], app2: [null, null, 1, 1, 1, null] };
    expect(told(history({ up }))).toEqual([]);
  });

  test('is a rebalance when a process that lives on sends some away, alone or at the end of a roll', () => {
    const evened = {
      up: { app1: [1, 1, 1, 1, 1], app2: [1, 1, 1, 1, 1] },
      starts: { app1: [-90, -90, -90, -90, -90], app2: [-90, -90, -90, -90, -90] },
      // What a drain sends away is not told twice.
      draining: { app1: [0, 0, 0, 0, 0], app2: [0, 1, 0, 0, 0] },
      sentAway: { app1: [7, 7, 37, 47, 47], app2: [0, 20, 20, 20, 20] },
    };
    const rebalance = { kind: 'rebalanced', at: 10, text: 'handed over 40 connections (rebalance).' };
    expect(told(history(evened))).toEqual([rebalance]);
    const rolled = history({
      ...evened,
      starts: { app1: [-80, 2, 2, 2, 2], app2: [-90, -90, 8, 8, 8] },
      connections: { app1: [20, 0], app2: [20, 40, 0] },
      opened: { app1: [20, 0, 50, 100, 100] },
      sentAway: { app1: [0, 0, 30, 40, 40], app2: [0, 20, 0, 0, 0] },
    });
    expect(told(rolled).slice(0, 2)).toEqual([
      {
        kind: 'roll',
        at: 10,
        text: 'of 2 instances, which sent away 60 connections, and 40 more in the rebalance. Clients opened 100 connections and resumed 0 rooms. Nothing was lost.',
      },
      rebalance,
    ]);
  });

  test('keeps counting when the counter of another instance restarts', () => {
    const both = history({
      up: { app1: [1, 0, 0, 0], app2: [1, 1, 1, 1] },
      starts: { app1: [-900, null, null, null], app2: [-900, -900, 12, 12] },
      connections: { app1: [7, null, null, null] },
      opened: { app2: [100, 103, 4, 4] },
    });
    expect(readEvents(both).find(({ kind }) => kind === 'killed')?.text).toContain('Clients opened 7 connections');
  });
});

test('queries are filled in as Grafana does it for a scrape interval of 5 s', () => {
  const expr = 'rate(a{instance="$instance"}[$__rate_interval]) + increase(b[$__range])';
  expect(fillIn(expr, { range: 900, step: 5, instance: 'app2' })).toBe(
    'rate(a{instance="app2"}[20s]) + increase(b[900s])',
  );
  expect(fillIn(expr, { range: 86_400, step: 600, instance: '' })).toContain('[605s]');
});

test('a chart has no more points than it is given, however long its range', () => {
  for (const range of [60, 900, 3600, 86_400, 604_800]) expect(range / stepOf(range, 240)).toBeLessThanOrEqual(240);
});

test('stacked lines have a gap where none of them has a value', () => {
  const rows = [
    [1, null, null],
    [2, 3, null],
    [null, 4, null],
  ];
  expect(stack(rows)).toEqual([
    [1, 0, null],
    [3, 3, null],
    [3, 7, null],
  ]);
});

test('a threshold begins at its value', () => {
  expect([0, 1, 4.9, 5].map((value) => levelOf(warnAbove(1, 5), value))).toEqual(['good', 'warn', 'warn', 'bad']);
  expect([0, 1].map((value) => levelOf(noneIsGood, value))).toEqual(['good', 'bad']);
});

test('panels stand in lines of three at most, none of which is left half empty', () => {
  expect([1, 2, 3, 4, 5, 6, 7].map(linesOf)).toEqual([[1], [2], [3], [2, 2], [3, 2], [3, 3], [3, 2, 2]]);
});

test('an instance that is followed by its next process drains no more, though its last sample says so', () => {
  const of = (metric: string, instance: string, values: string) => ({
    series: `${metric}{job="app", instance="${instance}"}`,
    values,
  });
  const folder = mkdtempSync(join(tmpdir(), 'wsfleet-state-'));
  try {
    // app2 is looked at in seconds 3 and 8, app3 in 2 and 7; app2 was replaced in second 5, app3 began to drain in 6.
    const series = [
      ...['app2', 'app3'].map((name) => of('up', name, '1x9')),
      of('ws_draining', 'app2', '_x3 1 _x4 0'),
      of('ws_ready', 'app2', '_x3 0 _x4 1'),
      of('process_start_time_seconds', 'app2', '_x3 -90 _x4 5'),
      of('ws_draining', 'app3', '_ _ 0 _x4 1'),
      of('ws_ready', 'app3', '_ _ 1 _x4 0'),
      of('process_start_time_seconds', 'app3', '_ _ -90 _x4 -90'),
    ];
    const at = (eval_time: string, ...values: number[]) => ({
      expr: state(),
      eval_time,
      exp_samples: values.map((value, index) => ({ labels: `{instance="app${index + 2}"}`, value })),
    });
    const promql_expr_test = [at('4s', 1, 3), at('7s', 2, 1), at('9s', 3, 1), at('20s', 3, 1)];
    const tests = [{ interval: '1s', input_series: series, promql_expr_test }];
    writeFileSync(join(folder, 'test.yml'), stringify({ evaluation_interval: '1s', tests }));
    const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', 'test.yml'], { cwd: folder });
    expect(status, `${stdout}${stderr}`).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('no panel chooses different lines at each point', () => {
  const all = dashboards.flatMap(({ rows }) => rows.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries)));
  const choosing = all.filter(({ expr }) => expr.includes('topk'));
  expect(choosing.length).toBeGreaterThan(0);
  for (const { expr } of choosing) expect(expr).toMatch(/ and topk\(5, .*\[\$__range\] @ end\(\)\)+$/);
});

test.each([
  ['WsfleetConnectionImbalance', 'deploy-imbalance'],
  ['WsfleetNearConnectionLimit', 'overview-connection-limit'],
  ['WsfleetNearFileLimit', 'overview-files'],
  ['WsfleetEventLoopLag', 'overview-event-loop'],
  ['WsfleetAuthFailures', 'overview-auth-failures'],
  ['WsfleetDeliveryLatency', 'overview-latency'],
  ['WsfleetCanaryLate', 'overview-canary'],
  ['WsfleetRedisMemory', 'parts-redis-memory'],
])('what %s watches turns colour at its limit', (name, id) => {
  const rules = readFileSync(resolve(import.meta.dirname, '../../prometheus/rules/alerts.yml'), 'utf8');
  const { groups } = parse(rules) as { groups: { rules: { alert: string; expr: string }[] }[] };
  const alert = groups.flatMap((group) => group.rules).find((rule) => rule.alert === name);
  const panel = dashboards.flatMap(({ rows }) => rows.flatMap(({ panels }) => panels)).find((each) => each.id === id);
  const limits = [...(alert?.expr ?? '').matchAll(/> ([\d.]+)/g)].map(([, limit]) => Number(limit));
  expect(panel?.thresholds.some(({ from }) => from !== null && limits.includes(from))).toBe(true);
});
