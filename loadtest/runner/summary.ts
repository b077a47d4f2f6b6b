/** The end of a test as k6 has it: the data of handleSummary, and what becomes of it. */
import { defaultTrendStats } from './scenarios.ts';
import { describeError, type Script } from './script.ts';
import { isEmpty, type Store, valuesOf } from './store.ts';
import type { Threshold } from './thresholds.ts';

/** What handleSummary gets. */
export function summarize(run: {
  store: Store;
  script: Script;
  thresholds: readonly Threshold[];
  passes(threshold: Threshold): boolean;
  seconds: number;
  data: unknown;
}) {
  const stats = run.script.options.summaryTrendStats ?? defaultTrendStats;
  const asked = new Set(run.thresholds.map(({ metric }) => metric));
  const metrics = [...run.store.metrics.values()]
    // Only metrics that have samples or a threshold are shown.
    .filter(({ name, sink, part }) => asked.has(name) || (!part && !isEmpty(sink)))
    .map(({ name, contains, sink }) => {
      const own = run.thresholds.filter(({ metric }) => metric === name);
      return [
        name,
        {
          type: sink.type,
          contains,
          values: valuesOf(sink, stats, run.seconds),
          ...(own.length > 0 && {
            thresholds: Object.fromEntries(own.map((each) => [each.expression, { ok: run.passes(each) }])),
          }),
        },
      ] as const;
    });
  return {
    root_group: { name: '', path: '', id: 'd41d8cd98f00b204e9800998ecf8427e', groups: [], checks: [] },
    options: { summaryTrendStats: stats, summaryTimeUnit: '', noColor: false },
    state: {
      isStdOutTTY: process.stdout.isTTY === true,
      isStdErrTTY: process.stderr.isTTY === true,
      testRunDurationMs: run.seconds * 1000,
    },
    metrics: Object.fromEntries(metrics),
    setup_data: run.data,
  };
}

/** handleSummary takes the place of the text summary, and cannot change how the test ends. */
export async function summaryOutputs(
  script: Script,
  summary: ReturnType<typeof summarize>,
): Promise<Record<string, string>> {
  if (script.has('handleSummary')) {
    try {
      return (await script.fn('handleSummary')(structuredClone(summary))) as Record<string, string>;
    } catch (error) {
      console.error(`level=error msg=${JSON.stringify(`handleSummary: ${describeError(error)}`)}`);
    }
  }
  const lines = Object.entries(summary.metrics).map(([name, { values }]) => {
    const shown = Object.entries(values).map(([key, value]) => `${key}=${Math.round(value * 100) / 100}`);
    return `  ${name.padEnd(28, '.')}: ${shown.join(' ')}`;
  });
  return { stdout: `${lines.join('\n')}\n` };
}
