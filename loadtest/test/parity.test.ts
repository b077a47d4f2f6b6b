/** The Node runner against the behaviour of k6 that the scripts rely on, point by point. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keepSummary, runScript } from './run-script.ts';
import { type ScriptedPeer, startScriptedPeer } from './scripted-peer.ts';

let peer: ScriptedPeer;
beforeAll(async () => {
  peer = await startScriptedPeer();
});
afterAll(() => peer[Symbol.asyncDispose]());

/** Opens a socket and prints its events in turn, as one JSON line. */
async function eventsOf(path: string, body = ''): Promise<unknown> {
  const { stdout, code } = await runScript(
    `
import { WebSocket } from 'k6/websockets';
export default function () {
  const events = [];
  const socket = new WebSocket('${peer.url}${path}', null, { tags: { name: '/ws' } });
  socket.onopen = () => { events.push('open'); socket.send('go'); ${body} };
  socket.onmessage = ({ data }) => { events.push('message ' + data); };
  socket.onerror = () => { events.push('error'); };
  socket.onclose = ({ code }) => {
    events.push('close ' + code);
    socket.onclose = undefined;
    console.log(JSON.stringify(events));
  };
}`,
  );
  expect(code).toBe(0);
  return JSON.parse(stdout.split('\n').find((line) => line.startsWith('[')) ?? 'null');
}

describe('how a socket ends', () => {
  test.each([
    ['a refused handshake is an error, then a close without a code', '/nowhere', ['error', 'close undefined']],
    ['1000 is a close only', '/close-1000', ['open', 'close 1000']],
    ['1001 is a close only', '/close-1001', ['open', 'close 1001']],
    ['1012 is an error first, then a close with the code', '/close-1012', ['open', 'error', 'close 1012']],
    ['4001 is an error first, then a close with the code', '/close-4001', ['open', 'error', 'close 4001']],
    ['an end without a close frame is 1006', '/eof', ['open', 'error', 'close 1006']],
    ['a reset is a close with neither', '/reset', ['open', 'close undefined']],
  ])('%s', async (_claim, path, events) => {
    expect(await eventsOf(path)).toEqual(events);
  });

  test('after close() no message comes any more', async () => {
    expect(await eventsOf('/flood', 'socket.close();')).toEqual(['open', 'close 1000']);
  });
});

describe('what a socket does not allow', () => {
  const attempt = (code: string) => `
import { WebSocket } from 'k6/websockets';
export default function () {
  const socket = new WebSocket('${peer.url}/echo');
  const attempt = (what, fn) => { try { fn(); console.log(what + ': fine'); } catch (error) { console.log(what + ': throws'); } };
  socket.onopen = () => { ${code} };
}`;

  test('send() outside OPEN throws', async () => {
    const script = attempt(`
      socket.close();
      attempt('send', () => socket.send('late'));`);
    expect((await runScript(script)).stdout).toContain('send: throws');
  });

  test('only 1000 and 3000 to 4999 may be sent', async () => {
    const { stdout } = await runScript(
      attempt(`
      for (const code of [1001, 1012, 2999, 5000]) attempt(code, () => socket.close(code));
      attempt(3000, () => socket.close(3000));`),
    );
    expect(stdout.split('\n').slice(0, 5)).toEqual([
      '1001: throws',
      '1012: throws',
      '2999: throws',
      '5000: throws',
      '3000: fine',
    ]);
  });

  test('a socket cannot be made while the script is read: exit 107', async () => {
    const run = await runScript(`
import { WebSocket } from 'k6/websockets';
new WebSocket('${peer.url}/echo');
export default function () {}`);
    expect(run).toMatchObject({ code: 107, stderr: expect.stringContaining('init context') });
  });
});

test('the status of a refused handshake is in the tag of ws_sessions, and `name` replaces the URL', async () => {
  const { code, summary } = await runScript(`
import { WebSocket } from 'k6/websockets';
export const options = { thresholds: { 'ws_sessions{status:503}': ['count==1'], 'ws_sessions{url:/ws}': ['count==1'] } };
export default function () { new WebSocket('${peer.url}/nowhere?token=secret', null, { tags: { name: '/ws' } }); }
${keepSummary}`);
  expect(code).toBe(0);
  expect(summary?.metrics['ws_sessions{status:503}']?.values['count']).toBe(1);
});

test('the protocols of the header are offered', async () => {
  await runScript(`
import { WebSocket } from 'k6/websockets';
export default function () {
  const socket = new WebSocket('${peer.url}/nowhere', null, { headers: { 'Sec-WebSocket-Protocol': 'wsfleet.v1' } });
}`);
  expect(peer.protocols.at(-1)).toBe('wsfleet.v1');
});

describe('iterations', () => {
  test('one ends when its sockets, timers and promises are done', async () => {
    const { code, summary } = await runScript(`
import { setTimeout, setInterval, clearInterval } from 'k6/timers';
export default async function () {
  let ticks = 0;
  const ticker = setInterval(() => { ticks += 1; if (ticks === 3) clearInterval(ticker); }, 50);
  await new Promise((resolve) => setTimeout(resolve, 100));
  setTimeout(() => console.log('last'), 400);
}
${keepSummary}`);
    expect(code).toBe(0);
    const { iterations, iteration_duration: duration } = summary?.metrics ?? {};
    expect(iterations?.values['count']).toBe(1);
    expect(duration?.values['min']).toBeGreaterThanOrEqual(499);
  });

  test('one with a handle left over is interrupted, and not counted', async () => {
    const { summary } = await runScript(`
import { setInterval } from 'k6/timers';
export const options = { scenarios: { a: { executor: 'per-vu-iterations', maxDuration: '300ms', gracefulStop: '0s' } } };
export default function () { setInterval(() => {}, 50); }
${keepSummary}`);
    expect(summary?.metrics['iterations']).toBeUndefined();
  });

  test('a handler that throws ends its iteration, with all that it held, and does not fail the test', async () => {
    const run = await runScript(`
import { setTimeout } from 'k6/timers';
export default function () {
  setTimeout(() => { throw new Error('on purpose'); }, 20);
  setTimeout(() => console.log('never'), 60_000);
}`);
    expect(run.code).toBe(0);
    expect(run.stderr).toContain('on purpose');
    expect(run.stdout).not.toContain('never');
  });

  test('each virtual user has the state of its modules to itself, and a copy of what setup returned', async () => {
    const { code, summary } = await runScript(
      `
import { Counter } from 'k6/metrics';
import exec from 'k6/execution';
const alone = new Counter('alone');
let state = 0;
export const options = {
  scenarios: { a: { executor: 'per-vu-iterations', vus: 6, iterations: 2 } },
  thresholds: { alone: ['count==18'] },
};
export function setup() { return { list: [1] }; }
export default function (data) {
  state += 1;
  data.list.push(exec.vu.idInTest);
  // 1 + 2 in each of six, with lists that nobody else has touched.
  if (data.list.length === 2) alone.add(state);
}
${keepSummary}`,
      {},
      ['--processes', '2'],
    );
    expect(summary?.metrics['alone']?.values['count']).toBe(18);
    expect(summary?.metrics['iterations']?.values['count']).toBe(12);
    expect(code).toBe(0);
  });

  test('virtual users use the addresses in turn', async () => {
    const from = peer.addresses.length;
    await runScript(
      `
import { WebSocket } from 'k6/websockets';
export const options = { scenarios: { a: { executor: 'per-vu-iterations', vus: 4 } } };
export default function () { new WebSocket('${peer.url}/nowhere'); }`,
      {},
      ['--local-ips', '127.0.7.1,127.0.8.1-127.0.8.2'],
    );
    expect(peer.addresses.slice(from).sort()).toEqual(['127.0.7.1', '127.0.7.1', '127.0.8.1', '127.0.8.2']);
  });
});

describe('thresholds', () => {
  const measure = (thresholds: string, more = '') => `
import { Counter, Gauge, Rate, Trend } from 'k6/metrics';
import { setTimeout } from 'k6/timers';
const counter = new Counter('a_counter'), gauge = new Gauge('a_gauge'), rate = new Rate('a_rate'), trend = new Trend('a_trend');
const empty = new Trend('an_empty_trend'), none = new Counter('an_empty_counter');
export const options = { summaryTrendStats: ['min', 'med', 'p(90)', 'p(99)', 'max', 'avg', 'count'], thresholds: ${thresholds} };
export default function () {
  for (let value = 1; value <= 10; value += 1) trend.add(value, { part: value > 5 ? 'high' : 'low' });
  counter.add(3); counter.add(4); gauge.add(5); gauge.add(2); rate.add(true); rate.add(0);
  ${more}
}
${keepSummary}`;

  test('percentiles are exact, by linear interpolation at p * (n - 1)', async () => {
    const { summary } = await runScript(measure('{}'), {}, ['--processes', '2']);
    const { values } = summary?.metrics['a_trend'] ?? {};
    expect(values).toEqual({
      ...{ min: 1, med: 5.5, 'p(90)': expect.closeTo(9.1, 9), 'p(99)': expect.closeTo(9.91, 9) },
      ...{ max: 10, avg: 5.5, count: 10 },
    });
  });

  test('all that hold: exit 0', async () => {
    const { code, red } = await runScript(
      measure(`{
        a_counter: ['count==7', 'count===7', 'count>=7', 'count<=7', 'rate>0', 'count!=8', 'count < 7.5'],
        a_gauge: ['value==2'], a_rate: ['rate==0.5'],
        a_trend: ['avg<6', 'min>=1', 'max<=10', 'med==5.5', 'p(99.9) < 10', 'p(90)<9.2'],
        'a_trend{part:low}': ['max==5'], 'a_trend{part:high}': [{ threshold: 'min==6' }],
      }`),
    );
    expect(red).toEqual([]);
    expect(code).toBe(0);
  });

  test('one that does not hold: exit 99, and it alone is red', async () => {
    const { code, red } = await runScript(measure(`{ a_counter: ['count==7', 'count>7'], a_trend: ['max<=10'] }`));
    expect({ code, red }).toEqual({ code: 99, red: ['a_counter count>7'] });
  });

  test('without samples they are judged by zeros, at the end and not before', async () => {
    const ends = `{ an_empty_trend: ['p(99)<1', { threshold: 'min>5', abortOnFail: true }], an_empty_counter: ['count>=1'] }`;
    const { code, red, stdout } = await runScript(
      measure(ends, `setTimeout(() => console.log('came to its end'), 2500);`),
    );
    expect({ code, red }).toEqual({ code: 99, red: ['an_empty_trend min>5', 'an_empty_counter count>=1'] });
    expect(stdout).toContain('came to its end');
  });

  test('abortOnFail ends the test at once', async () => {
    const begin = performance.now();
    const { code } = await runScript(
      `
import { setTimeout } from 'k6/timers';
import { Counter } from 'k6/metrics';
const bad = new Counter('bad');
export const options = { thresholds: { bad: [{ threshold: 'count<1', abortOnFail: true }] } };
export default function () { bad.add(1); setTimeout(() => {}, 60_000); }`,
    );
    expect(code).toBe(99);
    expect(performance.now() - begin).toBeLessThan(30_000);
  });

  test.each([
    ['a metric that does not exist', `{ nothing: ['count>1'] }`, 'no metric name'],
    ['an aggregation that the type does not have', `{ a_counter: ['p(95)<1'] }`, 'unsupported aggregation method'],
    ['what is no expression', `{ a_trend: ['p95 is small'] }`, 'cannot parse'],
  ])('%s: exit 104', async (_what, thresholds, message) => {
    expect(await runScript(measure(thresholds))).toMatchObject({ code: 104, stderr: expect.stringContaining(message) });
  });
});

describe('the end', () => {
  const failing = `
import { Counter } from 'k6/metrics';
const counter = new Counter('a_counter');
export const options = { thresholds: { a_counter: ['count>0'] } };
export default function () {}
`;
  test('handleSummary takes the place of the text, writes files, and does not change the exit code', async () => {
    const run = await runScript(`${failing}
export function handleSummary(data) {
  return { stdout: 'mine: ' + data.metrics.a_counter.thresholds['count>0'].ok, [__ENV.SUMMARY]: JSON.stringify(data) };
}`);
    expect(run).toMatchObject({ code: 99, stdout: 'mine: false' });
    expect(run.summary?.state.testRunDurationMs).toBeGreaterThan(0);
  });

  test('a handleSummary that throws leaves the text and the exit code', async () => {
    const run = await runScript(`${failing} export function handleSummary() { throw new Error('on purpose'); }`);
    expect(run.code).toBe(99);
    expect(run.stdout).toContain('a_counter');
    expect(run.stderr).toContain('on purpose');
  });

  test.each(['setup', 'teardown'])('an exception in %s: exit 107', async (hook) => {
    const { code } = await runScript(
      `export function ${hook}() { throw new Error('x'); } export default function () {}`,
    );
    expect(code).toBe(107);
  });

  test('an exception while the script is read: exit 107', async () => {
    expect((await runScript(`throw new Error('x'); export default function () {}`)).code).toBe(107);
  });

  test('the output says what ran it', async () => {
    expect((await runScript('export default function () {}')).stderr).toContain('Node runner, not k6');
  });
});

test('packages and modules that k6 does not have cannot be imported', async () => {
  for (const name of ['node:fs', 'ws', 'k6/experimental/redis']) {
    expect((await runScript(`import '${name}'; export default function () {}`)).code).toBe(107);
  }
});

test('hmac and base64 come out as k6 has them', async () => {
  const { stdout } = await runScript(`
import { hmac } from 'k6/crypto';
import { b64encode } from 'k6/encoding';
export default function () {
  console.log(hmac('sha256', 'key', 'text', 'hex'));
  console.log(hmac('sha256', 'key', 'text', 'base64rawurl'));
  console.log(['std', 'rawstd', 'url', 'rawurl'].map((variant) => b64encode('>>>?', variant)).join(' '));
}`);
  expect(stdout.split('\n').slice(0, 3)).toEqual([
    '6afa9046a9579cad143a384c1b564b9a250d27d6f6a63f9f20bf3a7594c9e2c6',
    'avqQRqlXnK0UOjhMG1ZLmiUNJ9b2pj-fIL86dZTJ4sY',
    'Pj4+Pw== Pj4+Pw Pj4-Pw== Pj4-Pw',
  ]);
});
