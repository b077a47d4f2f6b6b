/** Assembles a run's parts: the server's counters next to the clients', and a result even when parts are missing. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Result, readResult } from '../report/result.ts';
import type { Inputs } from '../runner/assemble.ts';
import { longestZeroAtMost, type Prometheus, type Series, scrapeInterval } from '../runner/prometheus.ts';
import { compareWithServer } from '../runner/server-counts.ts';
import { measureShare } from '../runner/share.ts';
import type { Summary } from '../runner/summary-file.ts';

const counter = (count: number) => ({ type: 'counter' as const, contains: 'default' as const, values: { count } });
const counters = { published: 300, acknowledged: 300, stored: 300, deliveries: 9000, opened: 20, accounted: 10 };

const summaryWith = (counts: Partial<typeof counters> = {}): Summary => ({
  metrics: Object.fromEntries(
    Object.entries({ ...counters, ...counts }).map(([name, count]) => [name, counter(count)]),
  ),
  state: { testRunDurationMs: 60_000 },
  shown: { CLIENTS: '10' },
  said: ['The last good step: 3 of 10.'],
  endedAt: Date.parse('2026-03-14T09:27:53Z'),
});

const series = (...samples: [number, number][]): Series[] => [{ labels: {}, samples }];

describe('the server’s counters', () => {
  /** Scraped every 10 ms, so that no test waits; every counter went on by as much. */
  const counting = (by: number): Prometheus => ({
    samples: async () => series([0, 0], [0.01, by]),
  });
  const compare = async (run: Partial<Parameters<typeof compareWithServer>[0]>) => {
    const { rows, notes } = await compareWithServer({
      ...{ summary: summaryWith(), prometheus: undefined, startedAt: Date.now() - 60_000, seconds: 60 },
      ...{ restarts: [], instances: 3, external: false },
      ...run,
    });
    return { judged: rows.map(({ name, ok }) => [name.split(' ').slice(0, 2).join(' '), ok]), notes };
  };

  test('that are below what the clients saw fail the run', async () => {
    expect(await compare({ prometheus: counting(300) })).toMatchObject({
      judged: [
        ['messages stored', true],
        ['messages published', true],
        ['messages delivered', false],
        ['connections opened', true],
        ['ready false', true],
      ],
    });
  });

  test('of somebody else’s cluster are shown, and judged only where they are exact', async () => {
    expect(await compare({ prometheus: counting(1), external: true })).toMatchObject({
      judged: [
        ['messages stored', true],
        ['messages published', null],
        ['messages delivered', null],
        ['connections opened', null],
      ],
    });
    expect(await compare({ summary: summaryWith({ stored: 299 }), external: true })).toMatchObject({
      judged: [['messages stored', false]],
    });
  });

  test('of clients that were cut short are not compared with what the rooms stored', async () => {
    expect(await compare({ summary: summaryWith({ accounted: 4, stored: 0 }) })).toEqual({
      judged: [],
      notes: [expect.stringMatching(/^4 of 10 clients came to the end/)],
    });
  });

  test('that nobody can be asked for leave a note', async () => {
    const prometheus = createRefusing();
    expect(await compare({ prometheus })).toEqual({
      judged: [['messages stored', true]],
      notes: ["The server's counters are not compared: Prometheus did not answer (ECONNREFUSED)."],
    });
  });
  const createRefusing = (): Prometheus => ({
    samples: () => Promise.reject(new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } })),
  });
});

test.each<[string, number, [number, number][]]>([
  [
    'all are ready: one interval',
    5,
    [
      [0, 1],
      [5, 1],
      [10, 1],
    ],
  ],
  [
    'one is not: two',
    10,
    [
      [0, 1],
      [5, 0],
      [10, 1],
    ],
  ],
  [
    'two are not: three',
    15,
    [
      [5, 1],
      [10, 0],
      [15, 0],
      [20, 1],
    ],
  ],
  [
    'one is missing: two',
    10,
    [
      [0, 1],
      [10, 1],
    ],
  ],
  [
    'it does not come back',
    10,
    [
      [0, 1],
      [5, 0],
      [10, 0],
    ],
  ],
  [
    'it never was',
    10,
    [
      [0, 0],
      [5, 0],
      [10, 0],
    ],
  ],
])('how long an instance may have been unready when %s', (_what, most, samples) => {
  expect(longestZeroAtMost(series(...samples))).toBe(most);
});

test('the scrape interval is what most samples are apart; a long one when there are none', () => {
  expect(scrapeInterval(series([0, 1], [15, 1], [30, 1], [75, 1]))).toBe(15);
  expect(scrapeInterval([])).toBe(60);
});

describe('the result', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wsfleet-assemble-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function assemble(inputs: Partial<Inputs>): Promise<{ code: number; result: Result }> {
    const path = (name: string) => join(folder, name);
    await writeFile(path('summary'), JSON.stringify(summaryWith()));
    await writeFile(path('events'), '1773480433 app1 begin\n1773480443 app1 end\n');
    const all: Inputs = {
      ...{
        script: 'rolling',
        tool: 'k6 1.8.0',
        driver: 'native',
        url: 'ws://x/ws',
        prometheus: '',
        exitCode: 0,
        problem: '',
      },
      ...{ summary: path('summary'), timeline: path('none'), events: path('events'), instances: 3, kit: 'x' },
      result: path('result'),
      ...inputs,
    };
    await writeFile(path('run'), JSON.stringify(all));
    const program = join(import.meta.dirname, '../runner/assemble.ts');
    const { stdout } = await promisify(execFile)(process.execPath, [program, path('run')]);
    return { code: Number(stdout), result: readResult(path('result')) };
  }

  test('is written when Prometheus does not answer, and says so; k6 tells when it ran', async () => {
    const { code, result } = await assemble({ prometheus: 'http://127.0.0.1:9' });
    expect(code).toBe(0);
    expect(result).toMatchObject({ verdict: 'PASS', startedAt: '2026-03-14T09:26:53.000Z', timeline: [] });
    expect(result.restarts).toEqual([{ instance: 'app1', from: 20, to: 30 }]);
    expect(result.notes).toEqual([
      'The last good step: 3 of 10.',
      expect.stringMatching(/^The server's counters are not compared: Prometheus did not answer/),
    ]);
  });

  test('of a run in which a restart failed is FAIL, and says why', async () => {
    const { code, result } = await assemble({ problem: 'A restart failed' });
    expect({ code, verdict: result.verdict, problem: result.problem }).toEqual({
      ...{ code: 99, verdict: 'FAIL', problem: 'A restart failed' },
    });
  });
});

test('an echo server that does not answer is given up', async () => {
  await expect(measureShare(1)).rejects.toThrow('the echo server does not answer');
});
