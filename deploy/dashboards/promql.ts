/** Pieces of PromQL that the panels share, and how their variables are filled in where there is no Grafana. */

/** Per second; the interval is the shortest over which Prometheus has enough samples. */
export const rate = (series: string) => `rate(${series}[$__rate_interval])`;
export const rateBy = (label: string, series: string) => `sum by (${label}) (${rate(series)})`;
/** How often within the time range that is shown. */
export const inRange = (series: string) => `sum(increase(${series}[$__range]))`;

/** Of a histogram, `series` without its suffix. NaN where nothing was observed. */
export function quantile(q: number, name: string, { by = '', of = '' } = {}): string {
  return `histogram_quantile(${q}, sum by (le${by && `, ${by}`}) (${rate(`${name}_bucket${of}`)}))`;
}

/** deploy/prometheus/prometheus.yml */
const SCRAPE_SECONDS = 5;

/**
 * The index in `instanceStates` for each instance. An instance that does not answer has no series.
 * The last sample of a process that drained stands until its successor is looked at, and the next instance may drain by
 * then. So the next look is taken into account: the successor says when it began.
 */
export function state(of = ''): string {
  const app = `{job="app"${of && `, ${of}`}}`;
  const began = `process_start_time_seconds${app}`;
  return (
    `sum by (instance) (up${app} == 0)` +
    ` or sum by (instance) (ws_draining${app} == 1 unless on (instance)` +
    ` (${began} offset -${SCRAPE_SECONDS}s != ${began}) <= time())` +
    ` or sum by (instance) (2 + ws_ready${app})`
  );
}

export interface View {
  /** Seconds that are shown. */
  range: number;
  /** Seconds between two points. */
  step: number;
  instance: string;
}

/** A query with the variables filled in as Grafana does it for a data source that is scraped every 5 s. */
export function fillIn(expr: string, { range, step, instance }: View): string {
  const rateInterval = Math.max(step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS);
  return expr
    .replaceAll('$__rate_interval', `${rateInterval}s`)
    .replaceAll('$__range', `${Math.max(range, rateInterval)}s`)
    .replaceAll('$instance', instance);
}

/** Seconds between two points, for so many of them at most over a range; a divisor of everything coarser. */
export function stepOf(range: number, points: number): number {
  const wanted = range / points;
  return [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600].find((step) => step >= wanted) ?? 7200;
}
