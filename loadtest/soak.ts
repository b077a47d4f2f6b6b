/** Hours of steady load with two rolls in between: no instance’s memory or open files grow. Reads them from Prometheus. */
import http from 'k6/http';
import { setTimeout } from 'k6/timers';
import { createRun, type Run, runMembers } from './lib/members.ts';
import { handleGrowth, memoryGrowth, unwatched, watched } from './lib/metrics.ts';
import { loadOptions } from './lib/options.ts';
import { createSummary, delivered, members, trendStats } from './lib/test.ts';

const settings = loadOptions({ DURATION: '30m' });
const { duration, prometheus } = settings;

/** Averages over this part of the duration are compared: after the rolls and the warming up, and at the end. */
const WINDOW = 0.1;
const WARM_AT = 0.75;
/** So long before the end: the clients are still there. */
const MARGIN = Math.min(5000, duration / 20);

export const options = {
  scenarios: {
    members: members(settings),
    watch: { ...members(settings), vus: 1, exec: 'watch' },
  },
  thresholds: {
    ...delivered(settings),
    delivery_gap: [`p(99)<=${settings.gapP99}`],
    memory_growth: ['max<5'],
    handle_growth: ['max<5'],
    watched: ['count>=1'],
    unwatched: ['count==0'],
  },
  summaryTrendStats: trendStats,
};

export const setup = (): Run => createRun(settings);
export const handleSummary = createSummary(settings);
export default (run: Run): void => runMembers(settings, run);

export function watch(run: Run): Promise<void> {
  return new Promise((resolve, reject) => {
    const at = run.startAt + duration - MARGIN;
    setTimeout(() => compare(run).then(resolve, reject), at - Date.now());
  });
}

async function compare(run: Run): Promise<void> {
  const warm = run.startAt + duration * WARM_AT;
  const end = run.startAt + duration - MARGIN;
  const instances = new Set([...(await averages('up', warm)).keys(), ...(await averages('up', end)).keys()]);
  const started = await averages('process_start_time_seconds', end);
  const growthOf = async (metric: string) => {
    const [before, after] = [await averages(metric, warm), await averages(metric, end)];
    return (instance: string) => (Number(after.get(instance)) / Number(before.get(instance)) - 1) * 100;
  };
  const [memory, handles] = [await growthOf('process_resident_memory_bytes'), await growthOf('process_open_fds')];
  for (const instance of instances) {
    const growths = [memory(instance), handles(instance)] as const;
    // One that was started since then has another past.
    const old = Number(started.get(instance)) * 1000 < warm - duration * WINDOW;
    if (!old || growths.some((growth) => Number.isNaN(growth))) {
      unwatched.add(1);
      continue;
    }
    watched.add(1);
    memoryGrowth.add(growths[0]);
    handleGrowth.add(growths[1]);
  }
}

/** Of every instance, over the window that ends at a moment in ms since the epoch. */
async function averages(metric: string, end: number): Promise<Map<string, number>> {
  const seconds = Math.max(1, Math.round((duration * WINDOW) / 1000));
  const query = encodeURIComponent(`avg_over_time(${metric}{job="app"}[${seconds}s])`);
  const response = await http.asyncRequest('GET', `${prometheus}/api/v1/query?query=${query}&time=${end / 1000}`);
  if (response.status !== 200) throw new Error(`Prometheus answered ${response.status}: is PROMETHEUS right?`);
  const { data } = response.json() as unknown as {
    data: { result: { metric: { instance: string }; value: [number, string] }[] };
  };
  return new Map(data.result.map(({ metric: { instance }, value }) => [instance, Number(value[1])]));
}
