/** A minute in which a few clients use every type of message. */
import { createAsking } from './lib/asking.ts';
import { createRun, type Member, type Run, runMembers, steadyPlan, userOf } from './lib/members.ts';
import { failed, proved } from './lib/metrics.ts';
import { loadOptions } from './lib/options.ts';
import { createSummary, delivered, members, trendStats } from './lib/test.ts';
import { signToken } from './lib/token.ts';

const settings = loadOptions({ CLIENTS: '10', ROOMS: '2', RATE: '0.2', DURATION: '30s' });
const { clients, rooms } = settings;

/** What every client sees happen, and so many of it. */
const ANSWERS = 10;
const EVENTS = 3;

export const options = {
  scenarios: { members: members(settings) },
  thresholds: {
    ...delivered(settings),
    delivery_gap: [`p(99)<=${settings.gapP99}`],
    proved: [`count==${clients * (ANSWERS + EVENTS)}`],
    failed: ['count==0'],
  },
  summaryTrendStats: trendStats,
};

export const setup = (): Run => createRun(settings);
export default (run: Run): void =>
  runMembers(
    settings,
    run,
    (...all) => ({ ...steadyPlan(...all), also: ['@me', '@all'] }),
    (member) => tryAll(run, member),
  );
export const handleSummary = createSummary(settings);

function tryAll(run: Run, { id, userId, client, plan: { room }, at }: Member) {
  const { ask, handleFrame } = createAsking(client);
  const side = `load-${run.id}-side-${id}`;
  const next = userOf(run, (id + rooms) % clients);
  const seen = new Set<string>();
  /** An event counts once: everyone sees those of several. */
  const see = (event: string, expected: boolean) => {
    if (seen.has(event)) return;
    seen.add(event);
    (expected ? proved : failed).add(1);
  };
  const steps = [
    () => ask('ping', {}, 'pong'),
    () => ask('list_rooms', {}, 'rooms', ({ rooms: all }) => Array.isArray(all) && all.includes(room)),
    () => ask('list_members', { room }, 'members', (payload) => Number(payload['memberCount']) > 1),
    () => ask('join_room', { room: side }, 'joined_room', (payload) => payload['recovery'] === 'none'),
    () => ask('room_message', { room: side, content: 'to myself' }, 'ack'),
    () => ask('leave_room', { room: side }, 'left_room'),
    () => ask('direct', { to: { userId: next }, content: 'direct' }, 'ack'),
    () => ask('chat', { content: 'to everyone' }, 'ack'),
    () => ask('refresh_token', { token: signToken(settings, userId, 3600) }, 'authenticated'),
    () => ask('nonsense', {}, 'error', (payload) => payload['code'] === 'UNKNOWN_TYPE'),
    () => client.send('typing', { room, isTyping: true }),
  ];
  for (const [index, step] of steps.entries())
    at((index + id / clients) * (settings.duration / steps.length / 1.2), step);
  return {
    handleFrame(frame: Parameters<typeof handleFrame>[0]) {
      if (frame.type === 'typing') see('typing', frame.payload['userId'] !== userId);
      else handleFrame(frame);
    },
    handleMessage(where: string, _from: string, content: string) {
      if (where === '@me') see('direct', content === 'direct');
      if (where === '@all') see('everyone', content === 'to everyone');
    },
    complete: () => seen.size === EVENTS,
  };
}
