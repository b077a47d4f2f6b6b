/** Messages at a given rate in a given number of rooms, and the latency of every delivery. */
import { createRun, type Run, runMembers } from './lib/members.ts';
import { loadOptions } from './lib/options.ts';
import { createSummary, delivered, members, trendStats } from './lib/test.ts';

const settings = loadOptions({ DURATION: '1m' });

export const options = {
  scenarios: { members: members(settings) },
  thresholds: {
    ...delivered(settings),
    delivery_gap: [`p(99)<=${settings.gapP99}`],
    delivery_latency: [`p(99)<=${settings.gapP99}`],
  },
  summaryTrendStats: trendStats,
};

export const setup = (): Run => createRun(settings);
export default (run: Run): void => runMembers(settings, run);
export const handleSummary = createSummary(settings);
