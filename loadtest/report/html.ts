/** A run as one page: the verdict first, then what it rests on. */
import { runCharts } from './charts.ts';
import { clock, measured, milliseconds, NONE, number, percent, plural, span, words } from './format.ts';
import { type Markup, markup } from './markup.ts';
import { breakable, columns, figures, page, pairs, section, sign, table } from './page.ts';
import type { Metric, Result } from './result.ts';
import { countOf, counts, heading, percentiles, reason, thresholdValue } from './verdict.ts';

/** @returns one self-contained HTML document */
export function htmlReport(result: Result): string {
  const { script, verdict, startedAt } = result;
  return page(
    `${verdict}: ${script}, ${day(startedAt)}`,
    markup`<header><p class="brand">wsfleet <span>load test</span></p></header>
<main>
${verdictOf(result)}
${section('Thresholds', thresholds(result))}
${section('Counts', counted(result))}
${section('Over time', markup`<div class="charts">${runCharts(result)}</div>`, 'wide')}
${section('Percentiles', percentileTable(result), 'wide')}
${section('Restarts', restarts(result))}
${section('Clients per instance at the beginning', spread(result))}
${section('Server against clients', server(result))}
${section('Errors', errors(result))}
${section('Options', pairs(Object.entries(result.options)))}
${section('Where it ran', machine(result))}
</main>`,
  );
}

const day = (iso: string): string => `${new Date(iso).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

/** What one run is called: `rolling on native, 2026-11-25 10:00:00 UTC, 2 min`. */
export function about({ script, driver, startedAt, seconds }: Result): Markup {
  return markup`<b>${script}</b> on ${driver}, <time datetime="${startedAt}">${day(startedAt)}</time>, ${span(seconds)}`;
}

export function verdictOf(result: Result): Markup {
  const { verdict, metrics } = result;
  const key = (metric: string, statistic: string) => {
    const value = metrics[metric]?.values[statistic];
    return value === undefined ? NONE : measured(metrics[metric], statistic, value);
  };
  const entries: [string, string][] = [
    ['deliveries verified', key('deliveries', 'count')],
    ['lost', key('lost', 'count')],
    ['latency p99', key('delivery_latency', 'p(99)')],
    ['delivery gap p99', key('delivery_gap', 'p(99)')],
    ['clients', number(countOf(result, 'clients_verified'))],
    ['restarts', number(result.restarts.length)],
  ];
  const known = entries.filter(([, value]) => value !== NONE);
  return markup`<section class="verdict ${verdict === 'PASS' ? 'good' : 'bad'}" aria-label="Verdict">
<h1>${sign(verdict === 'PASS', 'passed', 'failed')} ${verdict}</h1>
<p class="reason">${reason(result)}</p>
${result.notes.map((note) => markup`<p class="answer">${note}</p>`)}
<p class="about">${about(result)}; ${result.tool}</p>
<dl class="key-figures">${known.map(([name, value]) => markup`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
</section>`;
}

function thresholds(result: Result): Markup {
  if (result.thresholds.length === 0) return nothing('The script set none, so it cannot fail by one.');
  return table(
    'Thresholds',
    [...columns('Metric', 'Wanted'), ...figures('Measured')],
    result.thresholds.map((each) => [
      markup`${sign(each.ok)} ${words(each.metric)}`,
      markup`<code>${each.expression}</code>`,
      markup`<span class="${each.ok ? '' : 'bad'}">${thresholdValue(result, each)}</span>`,
    ]),
  );
}

function counted(result: Result): Markup {
  const entries = counts(result).map(([name, metric]) => [
    words(name),
    measured(metric, 'count', metric.values['count']),
  ]);
  return entries.length > 0 ? pairs(entries as [string, string][]) : nothing('Nothing was counted.');
}

function percentileTable(result: Result): Markup {
  const { columns: statistics, rows } = percentiles(result);
  if (rows.length === 0) return nothing('Nothing was sampled.');
  return table(
    'Percentiles',
    [...columns('Metric, ms'), ...figures(...statistics.map(heading))],
    rows.map(({ name, metric }) => [words(name), ...statistics.map((statistic) => percentile(metric, statistic))]),
  );
}

/** Milliseconds without their unit, which is in the column head; other values with theirs. */
function percentile(metric: Metric, statistic: string): string {
  const value = metric.values[statistic];
  return metric.contains === 'time' ? number(value) : measured(metric, statistic, value);
}

function restarts({ restarts: all, timeline }: Result): Markup {
  if (all.length === 0) return nothing('None.');
  return table(
    'Restarts',
    [...columns('Instance'), ...figures('From', 'To', 'Took', 'Worst gap p99')],
    all.map(({ instance, from, to }) => {
      const gaps = timeline.filter(({ at }) => at >= Math.floor(from) && at <= to).map(({ gapP99 }) => gapP99);
      const worst = gaps.reduce<number | null>((most, gap) => (gap !== null && gap > (most ?? -1) ? gap : most), null);
      return [instance, clock(from), clock(to), span(to - from), milliseconds(worst)];
    }),
  );
}

function spread({ spread: clients }: Result): Markup {
  const entries = Object.entries(clients);
  const total = entries.reduce((sum, [, count]) => sum + count, 0);
  if (total === 0) return nothing('Not known.');
  return table(
    'Clients per instance at the beginning',
    [...columns('Instance'), ...figures('Clients', 'Share'), ...columns('')],
    entries.map(([instance, count]) => [
      instance,
      number(count),
      percent(count / total),
      markup`<svg class="bar" width="100%" height="8" aria-hidden="true"><rect width="${(100 * count) / total}%" height="8" rx="2"/></svg>`,
    ]),
  );
}

function server({ server: counters }: Result): Markup {
  if (counters.length === 0) return nothing('Not compared.');
  return table(
    'Server against clients',
    [...columns('Counter'), ...figures('Server', 'Clients', 'Difference')],
    counters.map(({ name, server, clients, ok }) => [
      markup`${ok !== null && sign(ok, 'agrees', 'differs')} ${breakable(name)}`,
      number(server),
      number(clients),
      markup`<span class="${ok === false ? 'bad' : ''}">${number(server - clients)}</span>`,
    ]),
  );
}

function errors({ errors: kinds }: Result): Markup {
  const some = kinds.filter(({ count }) => count > 0);
  if (some.length === 0) return nothing('None.');
  return table(
    'Errors',
    [...columns('Kind'), ...figures('Count')],
    some.map(({ kind, count }) => [kind, number(count)]),
  );
}

function machine({ machine: { cpus, memoryGb, os }, versions, tool, url, runnerShare }: Result): Markup {
  const share = runnerShare
    ? `p50 ${milliseconds(runnerShare.p50)}, p99 ${milliseconds(runnerShare.p99)}`
    : 'not measured';
  return pairs([
    ['machine', `${plural(cpus, 'core')}, ${number(memoryGb)} GB, ${os}`],
    ['tool', tool],
    ['URL', url],
    ['the runner’s own share of latency', share],
    ...Object.entries(versions),
  ]);
}

export const nothing = (text: string): Markup => markup`<p class="nothing">${text}</p>`;
