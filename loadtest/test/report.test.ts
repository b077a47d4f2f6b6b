/** The report of a load test: what it says of a run, that it says it of any run, and that nothing in a run gets out of its quotes. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DOMParser, type Element as XmlElement } from '@xmldom/xmldom';
import { type DefaultTreeAdapterTypes, type ParserError, parse } from 'parse5';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { thin, ticks, timeTicks } from '../report/axis.ts';
import { comparePage } from '../report/compare-page.ts';
import { clock, milliseconds, number, span } from '../report/format.ts';
import { htmlReport } from '../report/html.ts';
import { junitReport } from '../report/junit.ts';
import type { Result } from '../report/result.ts';
import { readResult } from '../report/result.ts';
import { summary } from '../report/summary.ts';
import { colours, plain } from '../report/terminal.ts';
import { reason } from '../report/verdict.ts';
import { failingResult, passingResult } from './report-fixture.ts';

type Element = DefaultTreeAdapterTypes.Element;

const report = (program: string, ...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, '../report', program), ...args], {
    cwd: folder,
    env: {},
    encoding: 'utf8',
  });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wsfleet-report-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Every element of a page, which has to be HTML without one error. */
function elements(html: string): Element[] {
  const errors: ParserError[] = [];
  const document = parse(html, { onParseError: (error) => errors.push(error) });
  expect(errors).toEqual([]);
  const all: Element[] = [];
  const walk = (node: DefaultTreeAdapterTypes.ParentNode) => {
    for (const child of node.childNodes) {
      if ('tagName' in child) all.push(child);
      if ('childNodes' in child) walk(child);
    }
  };
  walk(document);
  return all;
}

const attribute = (element: Element, name: string) => element.attrs.find((each) => each.name === name)?.value;
const withClass = (all: readonly Element[], name: string) =>
  all.filter((element) => attribute(element, 'class')?.split(' ').includes(name));
function textOf(node: DefaultTreeAdapterTypes.ChildNode | undefined): string {
  if (!node) return '';
  if ('value' in node) return node.value;
  return 'childNodes' in node ? node.childNodes.map(textOf).join('') : '';
}

/** A page that needs nothing but itself, whose ids are one of a kind and whose charts say what they show. */
function expectSound(html: string): Element[] {
  const all = elements(html);
  const names = new Set(all.map(({ tagName }) => tagName));
  for (const tag of ['script', 'link', 'img', 'iframe', 'object', 'embed', 'base', 'form', 'a']) {
    expect(names).not.toContain(tag);
  }
  for (const element of all) {
    for (const { name } of element.attrs) expect(name).not.toMatch(/^on|^(src|srcset|href|action|style)$/);
  }
  const style = textOf(all.find(({ tagName }) => tagName === 'style'));
  expect(style).toContain('--accent:');
  expect(style).not.toMatch(/url\(|@import/);

  const ids = all.flatMap((element) => attribute(element, 'id') ?? []);
  expect(new Set(ids).size).toBe(ids.length);
  for (const element of all) {
    for (const id of attribute(element, 'aria-labelledby')?.split(' ') ?? []) expect(ids).toContain(id);
  }
  for (const plot of withClass(all, 'plot')) {
    const inside = plot.childNodes.filter((child) => 'tagName' in child);
    expect(inside.slice(0, 2).map(({ tagName }) => tagName)).toEqual(['title', 'desc']);
    expect(inside.slice(0, 2).map(textOf).join('')).toMatch(/\w+.*\d/s);
    expect(attribute(plot, 'role')).toBe('img');
  }
  expect(html).not.toMatch(/NaN|undefined|Infinity|\[object/);
  return all;
}

/** A JUnit file, which has to be XML without one warning. */
function junit(result: Result): { suite: XmlElement; cases: XmlElement[] } {
  const stop = (level: string, message: string) => {
    // It stands for what no XML can hold.
    if (!message.includes('Unicode replacement character')) throw new Error(`${level}: ${message}`);
  };
  const document = new DOMParser({ onError: stop }).parseFromString(junitReport(result), 'text/xml');
  const [suite] = document.getElementsByTagName('testsuite');
  if (!suite) throw new Error('no suite');
  return { suite, cases: [...document.getElementsByTagName('testcase')] };
}

/** Runs that say little, or say it strangely. */
const degenerate: Readonly<Record<string, (result: Result) => Partial<Result>>> = {
  'nothing at all': () => ({
    options: {},
    thresholds: [],
    metrics: {},
    timeline: [],
    restarts: [],
    spread: {},
    server: [],
    runnerShare: null,
    versions: {},
    seconds: 0,
  }),
  'one second': ({ timeline }) => ({ seconds: 1, timeline: timeline.slice(0, 1), restarts: [] }),
  'no restarts': () => ({ restarts: [] }),
  'only nulls': ({ timeline, thresholds }) => ({
    timeline: timeline.map((second) => ({ ...second, latencyP50: null, latencyP99: null, gapP99: null })),
    thresholds: thresholds.map((each) => ({ ...each, value: null })),
  }),
  'only zeros': ({ timeline }) => ({
    timeline: timeline.map(({ at }) => ({
      at,
      clients: 0,
      deliveries: 0,
      latencyP50: 0,
      latencyP99: 0,
      gapP99: 0,
      lost: 0,
      instances: {},
    })),
    spread: { app1: 0 },
  }),
  'trends without samples': ({ metrics }) => ({
    metrics: Object.fromEntries(Object.entries(metrics).map(([name, metric]) => [name, { ...metric, values: {} }])),
  }),
  'a restart that outlasts the run': () => ({ restarts: [{ instance: 'app1', from: 100, to: 900 }] }),
  'sixteen instances for a day': () => ({
    seconds: 86_400,
    timeline: Array.from({ length: 8640 }, (_, index) => ({
      at: index * 10,
      clients: 16,
      deliveries: index,
      latencyP50: 1,
      latencyP99: index === 4321 ? 777 : 2,
      gapP99: 3,
      lost: 0,
      instances: Object.fromEntries(Array.from({ length: 16 }, (_, app) => [`app${app + 1}`, 1])),
    })),
  }),
};

describe('the page', () => {
  test('gives the verdict of a passing run first, then what it rests on', () => {
    const all = expectSound(htmlReport(passingResult()));
    expect(all.find(({ tagName }) => tagName === 'title')).toSatisfy((title: Element) =>
      textOf(title).startsWith('PASS'),
    );
    const headings = all.filter(({ tagName }) => /^h[12]$/.test(tagName)).map((each) => textOf(each).trim());
    expect(headings.slice(0, 2)).toEqual(['PASS', 'Thresholds']);
    expect(withClass(all, 'verdict').map((each) => attribute(each, 'class'))).toEqual(['verdict good']);
    expect(withClass(all, 'plot').length).toBe(4);
    // Three restarts behind three charts of four areas or lines each.
    expect(
      all.filter(({ tagName, attrs }) => tagName === 'rect' && attrs.some(({ value }) => value === 'band')).length,
    ).toBe(12);
    expect(withClass(all, 'area').length).toBe(3);
  });

  test('says of a failing run which thresholds broke, with their values, and marks what was lost', () => {
    const result = failingResult();
    const all = expectSound(htmlReport(result));
    expect(withClass(all, 'verdict').map((each) => attribute(each, 'class'))).toEqual(['verdict bad']);
    expect(textOf(withClass(all, 'reason')[0])).toBe(
      '2 of 8 thresholds broke: lost was 37 (wanted count==0); delivery gap was 812 ms (wanted p(99)<=100).',
    );
    const rows = all.filter(({ tagName }) => tagName === 'tr');
    const red = rows.filter((row) => elementsIn(row).some((each) => attribute(each, 'aria-label') === 'broke'));
    expect(red.map((row) => textOf(row).replace(/\s+/g, ' ').trim())).toEqual([
      expect.stringMatching(/^lost.*37$/),
      expect.stringMatching(/^delivery gap.*812 ms$/),
    ]);
    expect(
      all.filter(({ tagName, attrs }) => tagName === 'circle' && attrs.some(({ value }) => value === 'mark')).length,
    ).toBe(2);
    expect(withClass(all, 'limit').some(({ tagName }) => tagName === 'line')).toBe(true);
  });

  test.each(Object.entries(degenerate))('stands with %s', (_, change) => {
    const result = { ...passingResult(), ...change(passingResult()) };
    expectSound(htmlReport(result));
    expect(summary(result, plain)).toContain('PASS');
    expect(junit(result).suite.getAttribute('failures')).toBe('0');
    expectSound(comparePage(result, failingResult()));
    expectSound(comparePage(failingResult(), result));
  });

  test('names restarts that are near to each other in one label, and those that are not by themselves', () => {
    const restart = (instance: string, from: number) => ({ instance, from, to: from + 4 });
    const labels = (...restarts: Result['restarts']) => {
      const all = elements(htmlReport({ ...passingResult(), restarts }));
      return new Set(withClass(all, 'band-name').map(textOf));
    };
    expect(labels(restart('app1', 10), restart('app2', 14), restart('app3', 19))).toEqual(
      new Set(['app1, app2, app3']),
    );
    expect(labels(restart('app1', 10), restart('app2', 50), restart('app3', 55))).toEqual(
      new Set(['app1', 'app2, app3']),
    );
  });

  test('keeps the worst second of a day', () => {
    const result = { ...passingResult(), ...degenerate['sixteen instances for a day']?.(passingResult()) };
    const html = htmlReport(result);
    expect(html).toContain('777 ms');
    expect(html.length).toBeLessThan(1_000_000);
  });

  test('shows two runs side by side, over the same axes', () => {
    const all = expectSound(comparePage(passingResult(), failingResult()));
    expect(withClass(all, 'verdict').map((each) => attribute(each, 'class'))).toEqual(['verdict good', 'verdict bad']);
    for (const plot of withClass(all, 'plot')) {
      const lines = elementsIn(plot).filter(({ tagName }) => tagName === 'path');
      expect(lines.map((line) => attribute(line, 'class'))).toEqual(['line run-a', 'line run-b']);
    }
    const lost = all.find(({ tagName, childNodes }) => tagName === 'tr' && textOf(childNodes[0]) === 'lost count==0');
    expect(lost?.childNodes.map((cell) => textOf(cell).trim())).toEqual(['lost count==0', '0', '37', 'broke']);
  });
});

function elementsIn(element: Element): Element[] {
  return element.childNodes.flatMap((child) => ('tagName' in child ? [child, ...elementsIn(child)] : []));
}

describe('what a run says about itself', () => {
  const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>' onload='x &amp; ]]> \u0000\u001b[31m\ud800`;
  const spoilt = (result: Result): Result => ({
    ...result,
    script: evil,
    tool: evil,
    driver: evil,
    url: evil,
    options: { [evil]: evil },
    thresholds: result.thresholds.map((each) => ({ ...each, metric: evil, expression: evil })),
    metrics: Object.fromEntries(Object.entries(result.metrics).map(([name, metric]) => [name + evil, metric])),
    timeline: result.timeline.map((second) => ({ ...second, instances: { [evil]: 1 } })),
    restarts: [{ instance: evil, from: 1, to: 20 }],
    spread: { [evil]: 1 },
    errors: [{ kind: evil, count: 1 }],
    server: [{ name: evil, server: 1, clients: 2, ok: false }],
    notes: [evil],
    machine: { ...result.machine, os: evil },
    versions: { [evil]: evil },
  });

  test.each([
    ['passing', passingResult()],
    ['failing', failingResult()],
  ])('stays text on the page, in XML and in the terminal (%s)', (_, result) => {
    const html = htmlReport(spoilt(result));
    const all = expectSound(html);
    expect(all.filter((element) => textOf(element).includes('<script>alert(1)</script>')).length).toBeGreaterThan(10);
    expectSound(comparePage(spoilt(result), spoilt(result)));
    expect(junit(spoilt(result)).cases[1]?.getAttribute('name')).toContain('<script>alert(1)</script>');
    for (const control of ['\u0000', '\u001b']) expect(summary(spoilt(result), plain)).not.toContain(control);
  });
});

describe('JUnit', () => {
  test('has a case for each threshold, and passes with the run', () => {
    const { suite, cases } = junit(passingResult());
    expect(['tests', 'failures', 'errors'].map((name) => suite.getAttribute(name))).toEqual(['9', '0', '0']);
    expect(cases.map((each) => each.getAttribute('name'))).toContain('delivery_gap: p(99)<=100');
    expect(cases.every((each) => each.childNodes.length === 0)).toBe(true);
  });

  test('fails where a threshold broke, with its value', () => {
    const { suite, cases } = junit(failingResult());
    expect(['tests', 'failures', 'errors'].map((name) => suite.getAttribute(name))).toEqual(['9', '2', '0']);
    const failures = cases.flatMap((each) => [...each.getElementsByTagName('failure')]);
    expect(failures.map((each) => each.getAttribute('message'))).toEqual([
      'lost was 37, wanted count==0',
      'delivery_gap was 812 ms, wanted p(99)<=100',
    ]);
  });

  test('has an error where the run ended before a threshold broke', () => {
    const { suite, cases } = junit({ ...passingResult(), verdict: 'FAIL', exitCode: 107 });
    expect(['failures', 'errors'].map((name) => suite.getAttribute(name))).toEqual(['0', '1']);
    expect(cases[0]?.getElementsByTagName('error')[0]?.getAttribute('message')).toMatch(/exception .*107/);
  });
});

describe('the sentence', () => {
  test('claims nothing that the run did not count', () => {
    const { lost, ...metrics } = passingResult().metrics;
    expect(lost).toBeDefined();
    expect(reason(passingResult())).toContain('none lost, none doubled');
    expect(reason({ ...passingResult(), metrics })).not.toContain('lost');
    expect(reason({ ...passingResult(), metrics: {}, restarts: [] })).toBe('All of 8 thresholds held in 2 min.');
    expect(reason({ ...passingResult(), thresholds: [] })).toContain('nothing was proved');
  });

  test('says that a threshold had no samples, and that the server counts otherwise', () => {
    const [first, ...rest] = passingResult().thresholds;
    if (!first) throw new Error('no threshold');
    const silent = {
      ...passingResult(),
      verdict: 'FAIL' as const,
      thresholds: [{ ...first, ok: false, value: null }, ...rest],
    };
    expect(reason(silent)).toBe('1 of 8 thresholds broke: clients verified has no samples (wanted count==600).');
    expect(reason({ ...failingResult(), thresholds: [] })).toMatch(/differ.*ws_messages_delivered_total/);
  });

  test('says what failed a run though all thresholds held, and says it with those that broke', () => {
    const problem = 'The restarts took longer than the load';
    const late = { ...passingResult(), verdict: 'FAIL' as const, exitCode: 99, problem };
    expect(reason(late)).toBe(`${problem}.`);
    expect(junit(late).cases[0]?.getElementsByTagName('error')[0]?.getAttribute('message')).toBe(`${problem}.`);
    expect(reason({ ...failingResult(), problem })).toMatch(/^2 of 8 thresholds broke: .*\. The restarts took longer/);
  });
});

describe('what is known besides', () => {
  const told = { ...passingResult(), notes: ['The last good step: 3 of 10'] };
  const unjudged = { ...passingResult(), server: [{ name: 'ws_some_total', server: 1, clients: 7, ok: null }] };

  test('the script’s own answer stands with the verdict, on the page and in the terminal', () => {
    expect(withClass(expectSound(htmlReport(told)), 'answer').map(textOf)).toEqual(told.notes);
    expect(summary(told, plain).split('\n')[2]).toBe(`  ${told.notes[0]}`);
  });

  test('a counter that is not judged has no sign', () => {
    expect(summary(unjudged, plain)).toMatch(/^ {4}ws_some_total +server 1 +clients 7$/m);
    const rows = expectSound(htmlReport(unjudged)).filter((each) => each.tagName === 'tr');
    const row = rows.find((each) => textOf(each).includes('ws_some_total'));
    expect(row && withClass(elementsIn(row), 'sign')).toEqual([]);
  });
});

describe('the programs', () => {
  const save = (name: string, content: unknown) => {
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    writeFileSync(join(folder, name), text);
    return name;
  };

  test('the report prints the summary and writes its files next to the result', () => {
    save('run.json', failingResult());
    const { status, stdout, stderr } = report('main.ts', 'run.json', '--junit');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.trim().split('\n')[0]).toMatch(/^✗ FAIL {2}crash on native/);
    expect(stdout).toMatch(/✗ lost +count==0 +37\n/);
    expect(stdout).toMatch(/app2 +0:50 to 0:53 +3\.2 s/);
    expect(stdout).not.toContain('\u001b');
    expect(summary(failingResult(), colours)).toContain('\u001b[31m');
    expectSound(readFileSync(join(folder, 'run.html'), 'utf8'));
    expect(readFileSync(join(folder, 'run.xml'), 'utf8')).toBe(junitReport(failingResult()));
  });

  test('JUnit is written only when asked for', () => {
    save('run.json', passingResult());
    expect(report('main.ts', 'run.json').status).toBe(0);
    expect(existsSync(join(folder, 'run.xml'))).toBe(false);
  });

  test('the comparison prints a short table and writes its page next to the second result', () => {
    const { status, stdout, stderr } = report(
      'compare.ts',
      save('a.json', passingResult()),
      save('b.json', failingResult()),
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/verdict +PASS +FAIL\n/);
    expect(stdout).toMatch(/delivery gap, p99 +48\.2 ms +812 ms +\+1,585 %\n/);
    expectSound(readFileSync(join(folder, 'a-vs-b.html'), 'utf8'));
  });

  test.each([
    ['no file', undefined, /run\.json: cannot be read: ENOENT/],
    ['no JSON', '{"script": ', /run\.json: is not JSON: /],
    ['no result', { script: 'rolling' }, /run\.json: is no result of a load test:\n {2}\w+.*\n.*and \d+ more/s],
    [
      'a wrong second',
      { ...passingResult(), timeline: [{ ...passingResult().timeline[0], at: 'soon' }] },
      /\n {2}timeline\[0\]\.at: .*number/,
    ],
    [
      'a PASS that is none',
      { ...failingResult(), verdict: 'PASS' },
      /verdict: PASS, though lost \(count==0\) is not ok/,
    ],
    [
      'a PASS with a problem',
      { ...passingResult(), problem: 'a restart failed' },
      /verdict: PASS, though a restart failed/,
    ],
    [
      'a PASS with a failure’s exit code',
      { ...passingResult(), exitCode: 99 },
      /verdict: PASS, though the exit code is 99/,
    ],
  ])('says what is wrong with %s, and exits with 1', (_, content, message) => {
    if (content !== undefined) save('run.json', content);
    const { status, stdout, stderr } = report('main.ts', 'run.json');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('    at ');
  });

  test('takes null where nothing was sampled for no value', () => {
    const result = passingResult();
    save('run.json', {
      ...result,
      metrics: { back_after: { type: 'trend', contains: 'time', values: { 'p(99)': null } } },
    });
    expect(readResult(join(folder, 'run.json')).metrics['back_after']?.values).toEqual({});
  });

  test('say how they are called, and exit with 64', () => {
    expect(report('main.ts')).toMatchObject({ status: 64, stderr: expect.stringContaining('Usage: ') });
    expect(report('main.ts', 'a.json', '--wrong').status).toBe(64);
    expect(report('compare.ts', 'a.json')).toMatchObject({
      status: 64,
      stderr: expect.stringContaining('make loadtest-compare A='),
    });
  });
});

describe('axes and numbers', () => {
  test.each([0, 0.003, 1, 7, 99.9, 100, 813, 123_456])('the steps to %d are round, few, and reach it', (most) => {
    const steps = ticks(most);
    expect(steps[0]).toBe(0);
    expect(steps.at(-1)).toBeGreaterThanOrEqual(most);
    expect(steps.length).toBeGreaterThanOrEqual(2);
    expect(steps.length).toBeLessThanOrEqual(6);
  });

  test.each([1, 59, 120, 1800, 86_400, 864_000])('%d s get at most seven moments', (seconds) => {
    const moments = timeTicks(seconds);
    expect(moments.length).toBeGreaterThanOrEqual(2);
    expect(moments.length).toBeLessThanOrEqual(7);
    expect(moments.at(-1)).toBeLessThanOrEqual(seconds);
  });

  test('joined seconds keep the worst latency, the mean rate and every loss', () => {
    const second = { clients: 1, latencyP50: null, latencyP99: null, gapP99: null, instances: { app1: 4 } };
    const timeline = [
      { ...second, at: 0, deliveries: 10, lost: 1 },
      { ...second, at: 1, deliveries: 30, lost: 2, latencyP99: 50 },
      { ...second, at: 2, deliveries: 5, lost: 0, latencyP99: 1 },
    ];
    expect(thin(timeline, 480)).toEqual({
      width: 2,
      seconds: [
        { ...second, at: 0, deliveries: 20, lost: 3, latencyP99: 50 },
        { ...second, at: 2, deliveries: 5, lost: 0, latencyP99: 1 },
      ],
    });
  });

  test('numbers read as people write them', () => {
    expect([0, 0.184, 14.83, 812.4, 254_436, null].map(number)).toEqual(['0', '0.18', '14.8', '812', '254,436', '–']);
    expect([48.2, 12_345].map(milliseconds)).toEqual(['48.2 ms', '12.3 s']);
    expect([3.2, 59.9, 60, 125, 5400].map(span)).toEqual(['3.2 s', '60 s', '1 min', '2 min 5 s', '1 h 30 min']);
    expect([0, 42.9, 725, 3725].map(clock)).toEqual(['0:00', '0:42', '12:05', '1:02:05']);
  });
});
