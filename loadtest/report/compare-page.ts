/** Two runs side by side, as one page. */
import { comparedCharts } from './charts.ts';
import { type Difference, differences } from './differences.ts';
import { about, nothing } from './html.ts';
import { markup, type Part } from './markup.ts';
import { columns, figures, page, section, sign, table } from './page.ts';
import type { Result } from './result.ts';
import { reason } from './verdict.ts';

/** @returns one self-contained HTML document */
export function comparePage(a: Result, b: Result): string {
  const { thresholds, times, counts, options, surroundings } = differences(a, b);
  return page(
    `${a.verdict} and ${b.verdict}: ${a.script} compared`,
    markup`<header><p class="brand">wsfleet <span>two load tests</span></p></header>
<main>
<div class="verdicts">${verdict('A', a)}${verdict('B', b)}</div>
${section('Thresholds', measuredTable('Thresholds', 'Threshold', thresholds))}
${section('Counts', measuredTable('Counts', 'Metric', counts))}
${section('Over time', markup`<p class="note">The strips above each chart are the restarts, those of A over those of B.</p><div class="charts">${comparedCharts(a, b)}</div>`, 'wide')}
${section('Percentiles', measuredTable('Percentiles', 'Metric', times))}
${section('What and where', plainTable('Options, machine and versions', [...options, ...surroundings]))}
</main>`,
  );
}

function verdict(name: string, result: Result): Part {
  const passed = result.verdict === 'PASS';
  return markup`<section class="verdict ${passed ? 'good' : 'bad'}" aria-label="Verdict of ${name}">
<p class="run ${name === 'A' ? 'run-a' : 'run-b'}">${name}</p>
<h1>${sign(passed, 'passed', 'failed')} ${result.verdict}</h1>
<p class="reason">${reason(result)}</p>
<p class="about">${about(result)}; ${result.tool}</p>
</section>`;
}

function measuredTable(caption: string, head: string, rows: readonly Difference[]): Part {
  if (rows.length === 0) return nothing('None.');
  return table(
    caption,
    [...columns(head), ...figures('A', 'B', 'Difference')],
    rows.map(({ name, a, b, aOk, bOk, change, tendency }) => [
      name,
      [aOk !== undefined && sign(aOk), ' ', a],
      [bOk !== undefined && sign(bOk), ' ', b],
      markup`<span class="${tendency ?? ''}">${change}</span>`,
    ]),
  );
}

function plainTable(caption: string, rows: readonly { name: string; a: string; b: string }[]): Part {
  if (rows.length === 0) return nothing('None.');
  return table(
    caption,
    columns('', 'A', 'B'),
    rows.map(({ name, a, b }) => [name, a, a === b ? b : markup`<span class="differs">${b}</span>`]),
  );
}
