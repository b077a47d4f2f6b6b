/** Everyone loses the connection at the same moment and comes back at once: all are in their rooms again within 10 s. */
import { createRun, type Run, runMembers, steadyPlan } from './lib/members.ts';
import { loadOptions } from './lib/options.ts';
import { createSummary, delivered, members, trendStats } from './lib/test.ts';

const settings = loadOptions({ CLIENTS: '1000', ROOMS: '50', RATE: '0.1', DURATION: '1m' });

export const options = {
  scenarios: { members: members(settings) },
  thresholds: {
    ...delivered(settings),
    back_after: ['max<=10000'],
    reconnects: [`count>=${settings.clients}`],
  },
  summaryTrendStats: trendStats,
};

export const setup = (): Run => createRun(settings);
export default (run: Run): void =>
  runMembers(settings, run, steadyPlan, ({ client, at }) => {
    at(settings.duration / 2, () => client.drop());
    return {};
  });
export const handleSummary = createSummary(settings);
