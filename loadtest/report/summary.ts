/** A run in the terminal: the verdict first, then what it rests on. */
import { clock, measured, milliseconds, number, percent, span, words } from './format.ts';
import type { Result } from './result.ts';
import { lines, type Paint } from './terminal.ts';
import { counts, heading, percentiles, reason, thresholdValue } from './verdict.ts';

export function summary(result: Result, paint: Paint): string {
  const { verdict, script, driver, tool, seconds } = result;
  const tone = verdict === 'PASS' ? paint.good : paint.bad;
  const [head = '', ...sentences] = [
    `${script} on ${driver}, ${span(seconds)} (${tool})`,
    reason(result),
    ...result.notes,
  ].flatMap((text) => lines([[text]]));
  const blocks = [
    [`${tone(paint.bold(`${verdict === 'PASS' ? '✓' : '✗'} ${verdict}`))}  ${head}`, ...sentences],
    block('THRESHOLDS', thresholds(result, paint)),
    block('COUNTS', counted(result)),
    block('TIMES', times(result, paint)),
    block('RESTARTS', restarts(result)),
    block('CLIENTS PER INSTANCE AT THE BEGINNING', spread(result)),
    block('SERVER AGAINST CLIENTS', server(result, paint)),
    block('ERRORS', errors(result)),
  ];
  return blocks
    .filter((block) => block.length > 0)
    .map((block) => block.map((line) => `  ${line}`).join('\n'))
    .join('\n\n');

  function block(title: string, content: readonly string[]): string[] {
    return content.length > 0 ? [paint.bold(title), ...content] : [];
  }
}

/** A sign before each line that is judged; one that is not as it should be stands out. */
function signed(
  rows: readonly { ok: boolean | null; cells: readonly string[] }[],
  figures: readonly number[],
  paint: Paint,
) {
  return lines(
    rows.map(({ cells }) => cells),
    figures,
  ).map((line, index) => {
    const ok = rows[index]?.ok;
    if (ok === null) return `  ${line}`;
    return ok ? `${paint.good('✓')} ${line}` : `${paint.bad('✗')} ${paint.bad(line)}`;
  });
}

function thresholds(result: Result, paint: Paint): string[] {
  const rows = result.thresholds.map((each) => ({
    ok: each.ok,
    cells: [words(each.metric), each.expression, thresholdValue(result, each)],
  }));
  return signed(rows, [2], paint);
}

function counted(result: Result): string[] {
  const rows = counts(result).map(([name, metric]) => [words(name), measured(metric, 'count', metric.values['count'])]);
  return lines(rows, [1]);
}

function times(result: Result, paint: Paint): string[] {
  const { columns, rows } = percentiles(result);
  if (rows.length === 0) return [];
  const cells = rows.map(({ name, metric }) => [
    words(name),
    ...columns.map((statistic) => measured(metric, statistic, metric.values[statistic])),
  ]);
  const [head = '', ...body] = lines(
    [['', ...columns.map(heading)], ...cells],
    columns.map((_, index) => index + 1),
  );
  const share = result.runnerShare;
  return [
    paint.dim(head),
    ...body,
    ...(share
      ? [paint.dim(`of which the runner's own: p50 ${milliseconds(share.p50)}, p99 ${milliseconds(share.p99)}`)]
      : []),
  ];
}

const restarts = (result: Result) =>
  lines(
    result.restarts.map(({ instance, from, to }) => [instance, `${clock(from)} to ${clock(to)}`, span(to - from)]),
    [2],
  );

function spread({ spread: clients }: Result): string[] {
  const total = Object.values(clients).reduce((sum, count) => sum + count, 0);
  const rows = Object.entries(clients).map(([instance, count]) => [
    instance,
    number(count),
    percent(total > 0 ? count / total : 0),
  ]);
  return lines(rows, [1, 2]);
}

function server({ server: counters }: Result, paint: Paint): string[] {
  const rows = counters.map(({ name, server, clients, ok }) => ({
    ok,
    cells: [name, `server ${number(server)}`, `clients ${number(clients)}`],
  }));
  return signed(rows, [1, 2], paint);
}

const errors = ({ errors: kinds }: Result) =>
  lines(
    kinds.filter(({ count }) => count > 0).map(({ kind, count }) => [kind, number(count)]),
    [1],
  );
