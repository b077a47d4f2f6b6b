/** What the scripts have in common: scenario, thresholds, summary. */
import type { Run } from './members.ts';
import type { Options } from './options.ts';

/** For `options.summaryTrendStats`: what the thresholds and a report need. */
export const trendStats = ['count', 'min', 'avg', 'med', 'p(90)', 'p(95)', 'p(99)', 'max'];

/** Every virtual user runs once, and holds `perVu` clients. */
export function members({ clients, perVu, connect, duration, settle }: Options) {
  return {
    executor: 'per-vu-iterations',
    vus: Math.ceil(clients / perVu),
    iterations: 1,
    maxDuration: `${Math.ceil((connect + duration + settle) / 1000) + 30}s`,
    gracefulStop: '5s',
  };
}

/** Everyone got everything, once and in order, and nobody was refused. A run without samples fails the first. */
export function delivered({ clients }: Options) {
  return {
    clients_verified: [`count==${clients}`],
    deliveries: ['count>0'],
    lost: ['count==0'],
    doubled: ['count==0'],
    disordered: ['count==0'],
    refused: ['count==0'],
  };
}

/** k6's own, as far as it is needed here. */
export interface SummaryData {
  metrics: Record<
    string,
    { type: string; values: Record<string, number>; thresholds?: Record<string, { ok: boolean }> }
  >;
  setup_data?: Run;
  [more: string]: unknown;
}

/**
 * For `handleSummary`: a few lines on the terminal, and all of the data in the file that SUMMARY names.
 * @param answer what the script itself has to say of the run
 */
export function createSummary(options: Options, answer: (data: SummaryData) => string[] = () => []) {
  return (data: SummaryData): Record<string, string> => {
    const lines = Object.entries(data.metrics).flatMap(([metric, { thresholds = {}, values }]) =>
      Object.entries(thresholds).map(([expression, { ok }]) => {
        const shown = Object.entries(values).map(([name, value]) => `${name}=${Math.round(value * 100) / 100}`);
        return `  ${ok ? '✓' : '✗'} ${metric} ${expression}   ${shown.join(' ')}`;
      }),
    );
    const said = answer(data);
    const all = { ...data, shown: options.shown, said, endedAt: Date.now() };
    return {
      stdout: `${[...lines, ...said].join('\n')}\n`,
      ...(options.summary && { [options.summary]: JSON.stringify(all) }),
    };
  };
}
