/** Steps up connections (or with RAMP=rate messages) until a threshold breaks, which ends it, and names the last good step. */
import { createRun, type Plan, type Run, runMembers } from './lib/members.ts';
import { loadOptions, type Options } from './lib/options.ts';
import { createSummary, members, type SummaryData, trendStats } from './lib/test.ts';

const settings = loadOptions({ CLIENTS: '5000', ROOMS: '100', RATE: '0.1', DURATION: '5m', SIZE: '256' });
const { clients, rooms, rate, duration } = settings;
const byRate = settings.ramp === 'rate';
const steps = byRate ? settings.steps : Math.min(settings.steps, clients);
const stepLength = duration / steps;

/** The first step has the least, which is the same whatever goes up. */
const leastMessages = ((clients / steps) * rate * stepLength) / 1000;
if (leastMessages < 1)
  throw new Error('In the first step nobody would publish: CLIENTS, RATE or DURATION has to go up');

/** Newcomers connect in the first part of their step, and publish in the rest of it. */
const CONNECTING = 0.4;
const SETTLED = 0.5;

const limits = { delivery_gap: `p(99)<=${settings.gapP99}`, delivery_latency: 'p(99)<=1000', flaws: 'count==0' };
const perStep = Array.from({ length: steps }, (_, step) =>
  Object.entries(limits).map(([name, threshold]) => [`${name}{step:${step + 1}}`, [{ threshold, abortOnFail: true }]]),
);

export const options = {
  scenarios: { members: members(settings) },
  thresholds: {
    ...Object.fromEntries(perStep.flat()),
    'deliveries{step:1}': ['count>0'],
    lost: ['count==0'],
    doubled: ['count==0'],
    disordered: ['count==0'],
    refused: ['count==0'],
  },
  summaryTrendStats: trendStats,
};

export const setup = (): Run => createRun(settings);
export default (run: Run): void => runMembers(settings, run, plan);
export const handleSummary = createSummary(settings, describeSteps);

function plan({ connect }: Options, run: Run, id: number): Plan {
  const step = byRate ? 0 : Math.floor((id * steps) / clients);
  // All of a room begin in the same step, and publish as many.
  const roomsOfStep = Math.max(1, Math.floor(rooms / (byRate ? 1 : steps)));
  const [first, end] = byRate
    ? [0, clients]
    : [Math.ceil((step * clients) / steps), Math.ceil(((step + 1) * clients) / steps)];
  const within = (id - first) / (end - first);
  const peers = end - first;
  const place = (id - first) % roomsOfStep;
  return {
    room: `load-${run.id}-${step}-${place}`,
    members: Math.floor(peers / roomsOfStep) + (place < peers % roomsOfStep ? 1 : 0),
    tells: id - first < roomsOfStep,
    connectAt: byRate || step === 0 ? -connect + within * connect * 0.7 : (step + within * CONNECTING) * stepLength,
    sendAt: byRate ? rising(within) : even(step === 0 ? 0 : step + SETTLED, within),
    tags: (at) => ({ step: String(Math.min(steps, Math.max(1, Math.floor(at / stepLength) + 1))) }),
  };
}

/** Moments at the common pace, from within a step on. */
const even = (from: number, phase: number) => moments(phase, [{ from, to: steps, perSecond: rate }]);

/** Moments at a pace that is faster in every step. */
const rising = (phase: number) =>
  moments(
    phase,
    Array.from({ length: steps }, (_, step) => ({ from: step, to: step + 1, perSecond: (rate * (step + 1)) / steps })),
  );

/**
 * When a client's messages are due; everyone has as many. The pace is kept across the steps: where each owes less than a
 * whole message, some of them send one. @param phase 0 to 1: a client's own place within the common pace
 */
function moments(phase: number, parts: { from: number; to: number; perSecond: number }[]): number[] {
  const due: number[] = [];
  let owed = 0;
  for (const { from, to, perSecond } of parts) {
    const before = owed;
    owed += ((to - from) * stepLength * perSecond) / 1000;
    for (let next = due.length + phase; next < owed; next += 1) {
      due.push(Math.round(from * stepLength + ((next - before) * 1000) / perSecond));
    }
  }
  return due.slice(0, Math.floor(owed));
}

/** A step is good that came to its end, had messages, and broke nothing. */
function describeSteps({ metrics, setup_data }: SummaryData): string[] {
  const over = (Date.now() - (setup_data?.startAt ?? Date.now())) / stepLength;
  const passed = (step: number) =>
    step <= over &&
    (metrics[`delivery_latency{step:${step}}`]?.values['count'] ?? 0) > 0 &&
    Object.keys(limits).every((name) =>
      Object.values(metrics[`${name}{step:${step}}`]?.thresholds ?? {}).every(({ ok }) => ok),
    );
  let good = 0;
  while (good < steps && passed(good + 1)) good += 1;
  const what = byRate
    ? `${clients} clients that publish ${((rate * good) / steps).toFixed(3)} messages a second each`
    : `${Math.ceil((clients * good) / steps)} clients`;
  return [good === 0 ? 'No step was good.' : `The last good step: ${good} of ${steps}, with ${what}.`];
}
