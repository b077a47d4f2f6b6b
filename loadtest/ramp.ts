/** Steps up connections (or with RAMP=rate messages) until a threshold breaks, which ends it, and names the last good step. */
import { createRun, type Plan, type Run, runMembers } from './lib/members.ts';
import { loadOptions, type Options } from './lib/options.ts';
import { createSummary, members, type SummaryData, trendStats } from './lib/test.ts';

const settings = loadOptions({ CLIENTS: '5000', ROOMS: '100', RATE: '0.1', DURATION: '5m', SIZE: '256' });
const { clients, rooms, steps, rate, duration } = settings;
const stepLength = duration / steps;
const byRate = settings.ramp === 'rate';

/** Newcomers connect in the first part of their step, and publish in the rest of it. */
const CONNECTING = 0.4;
const SETTLED = 0.5;

const perStep = Array.from({ length: steps }, (_, step) => [
  [`delivery_gap{step:${step + 1}}`, [{ threshold: `p(99)<=${settings.gapP99}`, abortOnFail: true }]],
  [`delivery_latency{step:${step + 1}}`, [{ threshold: 'p(99)<=1000', abortOnFail: true }]],
]);

export const options = {
  scenarios: { members: members(settings) },
  thresholds: {
    ...Object.fromEntries(perStep.flat()),
    'deliveries{step:1}': ['count>0'],
    lost: ['count==0'],
    doubled: ['count==0'],
    disordered: ['count==0'],
    refused: [{ threshold: 'count==0', abortOnFail: true }],
  },
  summaryTrendStats: trendStats,
};

export const setup = (): Run => createRun(settings);
export default (run: Run): void => runMembers(settings, run, plan);
export const handleSummary = createSummary(settings, describeSteps);

function plan({ connect }: Options, run: Run, id: number): Plan {
  const step = byRate ? 0 : Math.floor((id * steps) / clients);
  // All of a room begin in the same step.
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
    connectAt: byRate || step === 0 ? -connect + within * connect * 0.7 : (step + within * CONNECTING) * stepLength,
    sendAt: byRate ? rising(within) : even((step === 0 ? 0 : step + SETTLED) * stepLength, within),
    tags: (at) => ({ step: String(Math.min(steps, Math.floor(at / stepLength) + 1)) }),
  };
}

/** Moments of a common pace from `from` on. */
function even(from: number, phase: number): number[] {
  const pace = 1000 / rate;
  return Array.from({ length: Math.floor((duration - from) / pace) }, (_, index) =>
    Math.round(from + (index + phase) * pace),
  );
}

/** Moments at a pace that is faster in every step. */
function rising(phase: number): number[] {
  return Array.from({ length: steps }, (_, step) => {
    const pace = (1000 * steps) / (rate * (step + 1));
    return Array.from({ length: Math.floor(stepLength / pace) }, (_, index) =>
      Math.round(step * stepLength + (index + phase) * pace),
    );
  }).flat();
}

function describeSteps({ metrics }: SummaryData): string[] {
  const passed = (step: number) =>
    ['delivery_gap', 'delivery_latency'].every((name) => {
      const metric = metrics[`${name}{step:${step}}`];
      return (metric?.values['count'] ?? 0) > 0 && Object.values(metric?.thresholds ?? {}).every(({ ok }) => ok);
    });
  let good = 0;
  while (good < steps && passed(good + 1)) good += 1;
  const share = good / steps;
  const what = byRate
    ? `${clients} clients that publish ${(rate * share).toFixed(3)} messages a second each`
    : `${Math.round(clients * share)} clients`;
  return [good === 0 ? 'No step was good' : `The last good step: ${good} of ${steps}, with ${what}`];
}
