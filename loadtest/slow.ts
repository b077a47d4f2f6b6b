/** Some readers of many rooms fall behind: they are let go (4008), come back and have all, and nobody else waits for them. */
import { sleep } from 'k6';
import { setTimeout } from 'k6/timers';
import { createRun, type Plan, type Run, roomOf, runMembers, steadyPlan } from './lib/members.ts';
import { loadOptions, type Options } from './lib/options.ts';
import { createSummary, delivered, members, trendStats } from './lib/test.ts';

/** Long messages, three bytes a character: there is much between a server and a reader that takes them in. */
const settings = loadOptions({ CLIENTS: '120', ROOMS: '8', RATE: '0.4', DURATION: '75s', SIZE: '4000', PER_VU: '4' });
const { clients, perVu, duration } = settings;

/** The last virtual user's clients are the slow ones: a scenario of their own, since they block its event loop. */
const quickUsers = Math.ceil((clients - perVu) / perVu);
const quick = quickUsers * perVu;
/** Of the duration. */
const [STOP, GO_ON] = [1 / 6, 2 / 3];

const scenario = members(settings);
export const options = {
  scenarios: {
    quick: { ...scenario, vus: quickUsers },
    slow: { ...scenario, vus: 1, exec: 'slow' },
  },
  thresholds: {
    ...delivered(settings),
    // Those who read are not held up by those who do not.
    'delivery_gap{scenario:quick}': [`p(99)<=${settings.gapP99}`],
    'deliveries{scenario:quick}': ['count>0'],
    // Cut off, a reader that has stopped does not get to see why: the code is in the server's own counters.
    'reconnects{scenario:slow}': [`count>=${perVu}`],
  },
  summaryTrendStats: trendStats,
};

export const setup = (): Run => createRun(settings);
export const handleSummary = createSummary(settings);
export default (run: Run): void => runMembers(settings, run, plan);

export function slow(run: Run): void {
  runMembers(settings, run, plan, undefined, quickUsers);
  setTimeout(() => sleep(((GO_ON - STOP) * duration) / 1000), run.startAt + duration * STOP - Date.now());
}

/** The slow ones are in all rooms, and send what falls into their time of silence after it. */
function plan(options: Options, run: Run, id: number): Plan {
  const steady = { ...steadyPlan(options, run, id), fill: '€' };
  if (id < quick) return steady;
  const late = (ms: number) => Math.round(duration - (duration - ms) * ((1 - GO_ON) / (1 - STOP)));
  const others = Array.from({ length: options.rooms }, (_, room) => roomOf(run, room));
  return {
    ...steady,
    sendAt: steady.sendAt.map((ms) => (ms < duration * STOP ? ms : late(ms))),
    also: others.filter((room) => room !== steady.room),
  };
}
