/** A lifelike mix: people chat, type, look who is there, write to each other, and come and go between rooms. */
import { createAsking } from './lib/asking.ts';
import { createLedger } from './lib/ledger.ts';
import { createRun, type Member, type Plan, type Run, runMembers, steadyPlan, userOf } from './lib/members.ts';
import { countFlaw } from './lib/metrics.ts';
import { loadOptions, type Options } from './lib/options.ts';
import { createSummary, delivered, members, trendStats } from './lib/test.ts';

/** Everything together stays below the app's rate limit. */
const settings = loadOptions({ CLIENTS: '200', RATE: '0.1' });
const { clients, duration } = settings;

const DIRECT_EVERY = 20_000;
const TYPING_EVERY = 10_000;
const VISIT_EVERY = 30_000;
const STAY = 8_000;

const directs = Math.max(1, Math.floor(duration / DIRECT_EVERY));
const visits = Math.floor((duration - STAY) / VISIT_EVERY);

export const options = {
  scenarios: { members: members(settings) },
  thresholds: {
    ...delivered(settings),
    delivery_gap: [`p(99)<=${settings.gapP99}`],
    // A visit is a join, a look at the members, and a leave.
    proved: [`count==${clients * Math.max(0, visits) * 3}`],
    failed: ['count==0'],
  },
  summaryTrendStats: trendStats,
};

export const setup = (): Run => createRun(settings);
export default (run: Run): void => runMembers(settings, run, plan, (member) => socialize(run, member));
export const handleSummary = createSummary(settings);

function plan(all: Options, run: Run, id: number): Plan {
  return { ...steadyPlan(all, run, id), also: ['@me'] };
}

function socialize(run: Run, { id, client, plan: { room }, at }: Member) {
  const asking = createAsking(client);
  const inbox = createLedger();
  const phase = id / clients;
  for (let number = 1; number <= directs; number += 1) {
    at((number - 1 + phase) * (duration / directs), () => {
      client.direct(`${run.id}-${id}-direct-${number}`, userOf(run, (id + 1) % clients), `${number} ${Date.now()}`);
    });
  }
  for (let ms = phase * TYPING_EVERY; ms < duration; ms += TYPING_EVERY) {
    at(ms, () => void client.send('typing', { room, isTyping: true }));
  }
  for (let visit = 0; visit < visits; visit += 1) {
    const side = `load-${run.id}-side-${id % 7}`;
    const begin = (visit + phase) * VISIT_EVERY;
    at(begin, () => asking.ask('join_room', { room: side }, 'joined_room'));
    at(begin + STAY / 2, () => asking.ask('list_members', { room: side }, 'members'));
    at(begin + STAY, () => asking.ask('leave_room', { room: side }, 'left_room'));
  }
  return {
    handleFrame: asking.handleFrame,
    handleMessage(where: string, from: string, content: string, late: boolean) {
      const [number, sentAt] = content.split(' ').map(Number) as [number, number];
      if (where !== '@me') return;
      const { verdict } = inbox.take(from, number, sentAt, Date.now());
      if (verdict === 'doubled') countFlaw('doubled');
      else if (verdict === 'disordered' || late) countFlaw('disordered');
    },
    complete: () => inbox.complete(1, directs) && asking.open === 0,
  };
}
