/** What Prometheus knows of a run: raw samples, so that a counter that an instance took with it when it ended still counts. */

/** One time series: labels, and samples as [seconds since the epoch, value]. */
export interface Series {
  labels: Record<string, string>;
  samples: [number, number][];
}

export interface Prometheus {
  /** The samples of a metric between two moments, in seconds since the epoch. Rejects when there is no answer. */
  samples(selector: string, from: number, to: number): Promise<Series[]>;
}

const TIMEOUT_MS = 10_000;
/** Where nothing was scraped: nobody takes much longer between two scrapes. */
const LONGEST_INTERVAL_S = 60;

export function createPrometheus(url: string): Prometheus {
  return {
    async samples(selector, from, to) {
      const range = `${Math.max(1, Math.ceil(to - from))}s`;
      const query = new URLSearchParams({ query: `${selector}[${range}]`, time: String(to) });
      const response = await fetch(`${url}/api/v1/query?${query}`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (!response.ok) throw new Error(`Prometheus answered ${response.status} to ${selector}`);
      const { data } = (await response.json()) as {
        data: { result: { metric: Record<string, string>; values: [number, string][] }[] };
      };
      return data.result.map(({ metric, values }) => ({
        labels: metric,
        samples: values.map(([at, value]) => [at, Number(value)]),
      }));
    },
  };
}

/** How far counters went on over all series. After a reset a counter begins at 0. */
export function increase(series: readonly Series[]): number {
  let sum = 0;
  for (const { samples } of series) {
    for (const [index, [, value]] of samples.entries()) {
      const before = samples[index - 1]?.[1];
      if (before !== undefined) sum += value >= before ? value - before : value;
    }
  }
  return sum;
}

/** Seconds between two scrapes, by the samples themselves. */
export function scrapeInterval(series: readonly Series[]): number {
  const steps = series.flatMap(({ samples }) =>
    samples.slice(1).map(([at], index) => at - (samples[index]?.[0] ?? at)),
  );
  return steps.sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? LONGEST_INTERVAL_S;
}

/**
 * For how long, at most, any series was 0 or not there, in seconds: the longest way from a sample that is not 0 to the next.
 * Nobody knows what is between two samples, so that this is never less than the scrape interval.
 */
export function longestZeroAtMost(series: readonly Series[]): number {
  const end = Math.max(...series.flatMap(({ samples }) => samples.map(([at]) => at)));
  return Math.max(
    ...series.map(({ samples }) => {
      const good = samples.flatMap(([at, value]) => (value === 0 ? [] : [at]));
      const moments = [...good, end];
      return Math.max(...moments.map((at, index) => at - (moments[index - 1] ?? samples[0]?.[0] ?? at)));
    }),
  );
}
