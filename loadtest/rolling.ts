/**
 * Steady load while every instance is replaced, which `make loadtest` sees to: nothing lost, doubled or disordered,
 * nobody refused, and hardly anyone waits.
 */
import { createRun, type Run, runMembers } from './lib/members.ts';
import { loadOptions } from './lib/options.ts';
import { createSummary, delivered, members, trendStats } from './lib/test.ts';

const settings = loadOptions();

export const options = {
  scenarios: { members: members(settings) },
  thresholds: {
    ...delivered(settings),
    delivery_gap: [`p(99)<=${settings.gapP99}`],
    // Each instance was replaced: every client had to move.
    reconnects: [`count>=${settings.clients}`],
  },
  summaryTrendStats: trendStats,
};

export const setup = (): Run => createRun(settings);
export default (run: Run): void => runMembers(settings, run);
export const handleSummary = createSummary(settings);
