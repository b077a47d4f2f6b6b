/** What a scenario is, and how one is run and judged. */
import { percentile } from '../../tools/lib/percentile.ts';
import { within } from '../harness/process.ts';
import { type Fleet, type FleetOptions, type Judgement, startFleet } from './fleet.ts';
import { createRandom, type Random } from './random.ts';
import { type Cluster, type Rig, type RigOptions, startRig } from './rig.ts';

/** `full` proves the bars, `short` is part of `make test`. */
export type Size = 'full' | 'short';

export interface Context<C extends Cluster = Rig> {
  rig: C;
  fleet: Fleet;
  random: Random;
  sized<T>(full: T, short: T): T;
  /** A figure for the table. */
  note(name: string, value: string | number): void;
  /** What must hold besides the counts. */
  check(holds: boolean, claim: string): void;
}

export interface Scenario<C extends Cluster = Rig> {
  number: number;
  name: string;
  rig?: RigOptions;
  /** Leaves a rig that cannot be used again. */
  spoilsRig?: boolean;
  fleet?(rig: C, size: Size): Partial<FleetOptions>;
  /** Breaks things, and mends them. @returns its own judgement where the usual one does not fit */
  run(context: Context<C>): Promise<Judgement | undefined>;
}

export interface Outcome extends Judgement {
  number: number;
  name: string;
  refused: number;
  seconds: number;
  notes: Record<string, string | number>;
  /** Claims that did not hold. */
  failures: string[];
}

/** The time after which a connection counts as one that lasted (the client's default), and the next fault as the first. */
export const STABLE_MS = 5500;

/** How long everything may take, in ms. */
const patience: Record<Size, number> = { full: 90_000, short: 30_000 };
/** How long the last messages may take to arrive at the end, in ms. A mutation sets it: what it loses never arrives. */
const settleMs = (size: Size) => Number(process.env['SETTLE_MS'] ?? patience[size]);

const fleets: Record<Size, Omit<FleetOptions, 'url'>> = {
  full: { clients: 300, rooms: 10, publishersPerRoom: 2, interval: 200 },
  short: {
    clients: 36,
    rooms: 3,
    publishersPerRoom: 2,
    interval: 100,
    client: { connectTimeout: 3000, requestTimeout: 3000, backoff: { base: 300, cap: 1000 } },
  },
};

export const isClean = ({ expected, lost, doubled, disordered, refused, failures }: Outcome): boolean =>
  expected > 0 && lost + doubled + disordered + refused === 0 && failures.length === 0;

/** @param more what the cluster needs of its clients */
export async function runScenario<C extends Cluster>(
  scenario: Scenario<C>,
  rig: C,
  { size, seed }: { size: Size; seed: number },
  more: Partial<FleetOptions> = {},
): Promise<Outcome> {
  const started = performance.now();
  const notes: Outcome['notes'] = {};
  const failures: string[] = [];
  const ms = patience[size];
  await using fleet = await startFleet({
    url: () => rig.url,
    ...fleets[size],
    ...scenario.fleet?.(rig, size),
    ...more,
  });
  fleet.talk();
  let judgement: Judgement | undefined;
  try {
    await fleet.flowing(ms);
    judgement = await scenario.run({
      rig,
      fleet,
      random: createRandom(seed),
      sized: (full, short) => (size === 'full' ? full : short),
      note(name, value) {
        notes[name] = value;
      },
      check(holds, claim) {
        if (!holds) failures.push(claim);
      },
    });
    if (!judgement) {
      await rig.healthy();
      await fleet.flowing(ms);
    }
    await within(fleet.hush(), () => 'every message to be acknowledged', ms);
  } catch (error) {
    failures.push(error instanceof Error ? error.message : String(error));
  }
  if (!judgement) {
    judgement = await fleet.settle(settleMs(size));
    // Told or not: here nobody is away for longer than the retention.
    failures.push(...fleet.missing());
  }
  if (fleet.refusals.length > 0) failures.push(`publishes were given up: ${[...new Set(fleet.refusals)]}`);
  return {
    number: scenario.number,
    name: scenario.name,
    ...judgement,
    refused: fleet.handshakes.refused,
    seconds: Math.round((performance.now() - started) / 1000),
    notes,
    failures,
  };
}

/** Runs scenarios one after the other; neighbours that need the same rig share it. */
export function createRunner(options: { size: Size; seed: number }): {
  run(scenario: Scenario): Promise<Outcome>;
} & AsyncDisposable {
  let rig: Rig | undefined;
  let needs = '';

  async function end(): Promise<void> {
    const ending = rig;
    rig = undefined;
    await ending?.[Symbol.asyncDispose]();
  }

  return {
    async run(scenario) {
      const needed = JSON.stringify(scenario.rig ?? {});
      if (needed !== needs) await end();
      needs = needed;
      rig ??= await startRig(scenario.rig);
      const outcome = await runScenario(scenario, rig, options);
      // What a failed scenario left behind is no ground for the next.
      if (outcome.failures.length > 0 || scenario.spoilsRig) await end();
      return outcome;
    },
    [Symbol.asyncDispose]: end,
  };
}

const ascending = (values: readonly number[]) => [...values].sort((a, b) => a - b);

export const percentileOf = (values: readonly number[], p: number): number => percentile(ascending(values), p);

/** Percentiles for a note, in ms. */
export function spread(values: readonly number[]): string {
  const sorted = ascending(values);
  return [0.5, 0.99, 1].map((p) => percentile(sorted, p).toFixed(1)).join(' / ');
}
