/** Instances are killed (SIGKILL) one after the other, which `make loadtest` sees to: nothing that was acknowledged is lost. */
import { createRun, type Run, runMembers } from './lib/members.ts';
import { loadOptions } from './lib/options.ts';
import { createSummary, delivered, members, trendStats } from './lib/test.ts';

const settings = loadOptions();

export const options = {
  scenarios: { members: members(settings) },
  thresholds: {
    ...delivered(settings),
    // A crash is noticed at once; what remains is the backoff.
    back_after: ['p(99)<=5000'],
    ended_1006: ['count>=1'],
    reconnects: ['count>=1'],
  },
  summaryTrendStats: trendStats,
};

export const setup = (): Run => createRun(settings);
export default (run: Run): void => runMembers(settings, run);
export const handleSummary = createSummary(settings);
