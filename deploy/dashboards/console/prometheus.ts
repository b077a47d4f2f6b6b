/** Asks the Prometheus that serves this page. Times are seconds since the epoch, as Prometheus has them. */

export interface Series {
  labels: Readonly<Record<string, string>>;
  /** Time and value, oldest first. */
  points: readonly (readonly [number, number])[];
}

/** What an instance says of itself: the last value of each series by its label `instance`. */
export type ByInstance = ReadonlyMap<string, number>;

interface Answer {
  status: 'success' | 'error';
  error?: string;
  data: { result: { metric: Record<string, string>; value?: [number, string]; values?: [number, string][] }[] };
}

/** Relative to /consoles/wsfleet.html, so that a path in front of Prometheus does no harm. */
const API = '../api/v1';

export const queryRange = (query: string, start: number, end: number, step: number, signal: AbortSignal) =>
  ask('query_range', { query, start, end, step }, signal);

export const queryAt = (query: string, time: number, signal: AbortSignal) => ask('query', { query, time }, signal);

/** A Prometheus that hangs may not hold up the page, which would go on showing what was. */
const TIMEOUT_MS = 8_000;

/** @throws {Error} with Prometheus's own words */
async function ask(path: string, parameters: Record<string, string | number>, signal: AbortSignal): Promise<Series[]> {
  const search = new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)]));
  const patience = AbortSignal.timeout(TIMEOUT_MS);
  const either = AbortSignal.any([signal, patience]);
  try {
    const response = await fetch(`${API}/${path}?${search}`, { signal: either });
    const answer = (await response.json().catch(() => ({}))) as Partial<Answer>;
    either.throwIfAborted();
    if (answer.status !== 'success') throw new Error(answer.error ?? `Prometheus answers ${response.status}`);
    return (answer.data?.result ?? []).map(({ metric, value, values }) => ({
      labels: metric,
      points: (values ?? (value ? [value] : [])).map(([time, text]) => [time, Number(text)] as const),
    }));
  } catch (error) {
    throw patience.aborted ? new Error(`No answer within ${TIMEOUT_MS / 1000} s`) : error;
  }
}

export function byInstance(series: readonly Series[]): ByInstance {
  return new Map(series.map(({ labels, points }) => [labels['instance'] ?? '', points.at(-1)?.[1] ?? Number.NaN]));
}

/** app2 before app10. */
export const byName = new Intl.Collator('en', { numeric: true }).compare;

/** The name of a series, from a template such as `{{instance}}`. */
export function nameOf(legend: string, labels: Readonly<Record<string, string>>): string {
  return legend.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? '');
}
