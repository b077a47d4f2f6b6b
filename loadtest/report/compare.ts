/**
 * Two runs side by side: `node loadtest/report/compare.ts A.json B.json`. Prints a short table and writes A-vs-B.html beside B.
 * Exits 0 whatever the verdicts, 1 when one is no result, 64 when it was called wrongly.
 */
import { writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { comparePage } from './compare-page.ts';
import { differences } from './differences.ts';
import { span, words } from './format.ts';
import { ResultError, readResult } from './result.ts';
import { lines, paintFor } from './terminal.ts';
import { percentiles } from './verdict.ts';

/** sysexits.h: the command was used incorrectly. */
const EX_USAGE = 64;

const [first, second, ...others] = process.argv.slice(2);
if (!first || !second || others.length > 0) {
  console.error('Which two? make loadtest-compare A=loadtest/out/ONE.json B=loadtest/out/OTHER.json');
  process.exit(EX_USAGE);
}

const paint = paintFor(process.stdout, process.env);
try {
  const [a, b] = [readResult(first), readResult(second)];
  const path = join(dirname(second), `${basename(first, '.json')}-vs-${basename(second, '.json')}.html`);
  writeFileSync(path, comparePage(a, b));

  const { thresholds, times } = differences(a, b);
  // The page has all; here stand those that people ask for.
  const { rows } = percentiles(a, b);
  const short = times.filter(({ name }) =>
    rows.some((row) => [`${words(row.name)}, median`, `${words(row.name)}, p99`].includes(name)),
  );
  const table = [
    ['', 'A', 'B', ''],
    ['verdict', a.verdict, b.verdict, ''],
    ['length', span(a.seconds), span(b.seconds), ''],
    ...[...thresholds, ...short].map(({ name, a, b, change }) => [name, a, b, change]),
  ];
  const tones = [undefined, undefined, undefined, ...[...thresholds, ...short].map(({ tendency }) => tendency)];
  const printed = lines(table, [1, 2, 3]).map((line, index) => {
    const tendency = tones[index];
    if (index === 0) return paint.bold(line);
    return tendency === 'worse' ? paint.bad(line) : tendency === 'better' ? paint.good(line) : line;
  });
  console.log(['', ...printed.map((line) => `  ${line}`), '', `  Report  ${relative('', path)}`, ''].join('\n'));
} catch (error) {
  if (!(error instanceof ResultError)) throw error;
  console.error(error.message);
  process.exit(1);
}
