/** A script's `options`, as far as this runner knows them, and who runs what. */
import type { ThresholdOptions } from './thresholds.ts';

export interface ScriptOptions {
  scenarios?: Record<string, Record<string, unknown>>;
  thresholds?: ThresholdOptions;
  summaryTrendStats?: string[];
  setupTimeout?: string;
  teardownTimeout?: string;
}

/** Times in milliseconds. */
export interface Scenario {
  name: string;
  exec: string;
  vus: number;
  iterations: number;
  startTime: number;
  maxDuration: number;
  gracefulStop: number;
}

/** The virtual users of one process: a part of one scenario, so that what blocks one scenario does not block another. */
export interface Share {
  scenario: Scenario;
  /** Indices in the scenario. */
  from: number;
  to: number;
  /** Id of the scenario's first virtual user in the whole test, from 1. */
  firstId: number;
}

export const defaultTrendStats = ['avg', 'min', 'med', 'max', 'p(90)', 'p(95)'];

/** `1m30s`, `250ms`; a plain number is milliseconds, as in k6. @throws {Error} */
export function parseSpan(text: string | number): number {
  if (typeof text === 'number' || /^\d+$/.test(text)) return Number(text);
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.map(([part]) => part).join('') !== text || text === '') throw new Error(`invalid duration ${text}`);
  const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  return parts.reduce((sum, [, value, unit]) => sum + Number(value) * units[unit as keyof typeof units], 0);
}

/** @throws {Error} as k6 with exit code 104 */
export function parseScenarios({ scenarios }: ScriptOptions): Scenario[] {
  const given = scenarios ?? { default: { executor: 'per-vu-iterations' } };
  return Object.entries(given).map(([name, options]) => {
    const { executor, exec = 'default', vus = 1, iterations = 1 } = options;
    const { startTime = '0s', maxDuration = '10m', gracefulStop = '30s', ...unknown } = options;
    for (const key of ['executor', 'exec', 'vus', 'iterations']) delete unknown[key];
    if (executor !== 'per-vu-iterations') throw new Error(`scenario ${name}: the Node runner knows per-vu-iterations`);
    const [other] = Object.keys(unknown);
    if (other !== undefined) throw new Error(`scenario ${name}: the Node runner does not know ${other}`);
    const counts = { vus: Number(vus), iterations: Number(iterations) };
    for (const [key, value] of Object.entries(counts)) {
      if (!Number.isInteger(value) || value < 1) throw new Error(`scenario ${name}: ${key} must be more than 0`);
    }
    return {
      name,
      exec: String(exec),
      ...counts,
      startTime: parseSpan(String(startTime)),
      maxDuration: parseSpan(String(maxDuration)),
      gracefulStop: parseSpan(String(gracefulStop)),
    };
  });
}

/** Splits every scenario over at most so many processes. */
export function splitScenarios(scenarios: readonly Scenario[], processes: number): Share[] {
  let firstId = 1;
  return scenarios.flatMap((scenario) => {
    const parts = Math.min(processes, scenario.vus);
    const shares = Array.from({ length: parts }, (_, part) => ({
      scenario,
      from: Math.floor((part * scenario.vus) / parts),
      to: Math.floor(((part + 1) * scenario.vus) / parts),
      firstId,
    }));
    firstId += scenario.vus;
    return shares;
  });
}
