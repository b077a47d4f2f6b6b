/** Prometheus's rules, checked by promtool, and the texts of the alerts. Needs no cluster. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type MetricRow, metricDefinitions } from '../../../app/src/observability/metric-definitions.ts';

interface Rule {
  alert?: string;
  record?: string;
  expr: string;
  for?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}
interface Case {
  name: string;
  alert_rule_test: { alertname: string; exp_alerts: object[] }[];
}

const root = resolve(import.meta.dirname, '../../..');
const folder = join(root, 'deploy/prometheus');
const read = (file: string) => readFileSync(join(folder, file), 'utf8');
const rulesOf = (file: string) =>
  (parse(read(file)) as { groups: { rules: Rule[] }[] }).groups.flatMap(({ rules }) => rules);
const alerts = rulesOf('rules/alerts.yml');
const recorded = rulesOf('rules/recording.yml');
const caseFiles = readdirSync(join(folder, 'tests')).map((file) => `tests/${file}`);
const cases = caseFiles.flatMap((file) => (parse(read(file)) as { tests: Case[] }).tests);

function promtool(args: readonly string[], cwd = folder): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd, encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

beforeAll(() => {
  execFileSync('sh', [join(root, 'deploy/cluster/lib/install.sh'), 'prometheus'], { stdio: 'inherit' });
});

test('promtool takes the configuration and the rules', () => {
  const copy = mkdtempSync(join(tmpdir(), 'wsfleet-rules-'));
  try {
    cpSync(folder, copy, { recursive: true });
    // The cluster's commands write these into the same folder.
    for (const file of ['targets.json', 'alertmanagers.json']) writeFileSync(join(copy, file), '[]');
    const { status, output } = promtool(['check', 'config', 'prometheus.yml'], copy);
    expect(status, output).toBe(0);
    expect(output).toContain(`${alerts.length} rules found`);
  } finally {
    rmSync(copy, { recursive: true });
  }
});

test('every case of deploy/prometheus/tests fires what it should, and nothing that it should not', () => {
  const { status, output } = promtool(['test', 'rules', ...caseFiles]);
  expect(status, output).toBe(0);
});

describe.each(alerts.map((alert) => [alert.alert ?? '', alert] as const))('%s', (name, alert) => {
  test('has a case that fires it and one that does not', () => {
    const own = cases.flatMap((each) => each.alert_rule_test).filter(({ alertname }) => alertname === name);
    expect(own.filter(({ exp_alerts }) => exp_alerts.length > 0)).not.toEqual([]);
    expect(own.filter(({ exp_alerts }) => exp_alerts.length === 0)).not.toEqual([]);
  });

  test('waits, says how bad it is, and what to do', () => {
    expect(alert.for).toMatch(/^[1-9]\d*[smh]$/);
    expect(alert.labels?.['severity']).toMatch(/^(critical|warning)$/);
    expect(alert.annotations?.['summary']).toMatch(/\S/);
    expect(alert.annotations?.['description']).toMatch(/\.$/);
    // With what it stands at.
    expect(alert.annotations?.['description']).toContain('{{');
    expect(alert.annotations?.['runbook_url']).toBe(`docs/runbooks.md#${name.toLowerCase()}`);
  });

  test('has a section in the runbooks: what it means, what to check, how to fix it', () => {
    const runbooks = readFileSync(join(root, 'docs/runbooks.md'), 'utf8');
    const section = runbooks.split(/^## /m).find((each) => each.startsWith(`${name}\n`));
    for (const part of ['Means', 'Check', 'Fix']) expect(section).toContain(`*${part}*`);
  });
});

test('the runbooks have no section for an alert that is not', () => {
  const sections = [...readFileSync(join(root, 'docs/runbooks.md'), 'utf8').matchAll(/^## (.+)$/gm)];
  expect(sections.map(([, name]) => name).sort()).toEqual(alerts.map(({ alert }) => alert).sort());
});

test('rules ask for metrics that there are, under the names that recorded ones have', () => {
  const ours = (Object.values(metricDefinitions) as MetricRow[]).flatMap(({ name, type }) =>
    type === 'histogram' ? [`${name}_bucket`] : [name],
  );
  const names = recorded.map(({ record }) => record ?? '');
  for (const name of names) expect(name).toMatch(/^(cluster|instance):ws_\w+:\w+$/);
  // Written by the cluster's commands.
  const known = new Set([...ours, ...names, 'cluster:certificate_end:timestamp_seconds']);
  const asked = [...alerts, ...recorded].flatMap(
    ({ expr }) => expr.match(/\b((cluster|instance):[\w:]+|ws_\w+)/g) ?? [],
  );
  expect(asked.filter((name) => !known.has(name))).toEqual([]);
});
