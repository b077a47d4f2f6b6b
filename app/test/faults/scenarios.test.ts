/** The fault suite, short: every scenario once or twice. In full it is a program, `make test-faults`. */
import { afterAll, expect, test } from 'vitest';
import { createRunner, isClean } from './scenario.ts';
import { scenarios } from './scenarios/index.ts';
import { row } from './table.ts';

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32));
const runner = createRunner({ size: 'short', seed });
afterAll(() => runner[Symbol.asyncDispose]());

test.for(scenarios.map((scenario) => [scenario.number, scenario.name, scenario] as const))(
  '%d. %s: nothing lost, doubled, disordered or refused',
  async ([, , scenario]) => {
    const outcome = await runner.run(scenario);
    expect(isClean(outcome), `SEED=${seed}\n${row(outcome)}`).toBe(true);
  },
);
