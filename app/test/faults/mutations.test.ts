/** The suite can fail: with one mechanism switched off, a scenario reports what that mechanism prevents. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { collectOutput, run } from '../harness/process.ts';
import { type Mutation, mutations } from './mutations.ts';

const here = import.meta.dirname;

test.concurrent.for(Object.entries(mutations) as [string, Mutation][])(
  'without %s a scenario reports losses',
  async ([name, { scenario, shows }]) => {
    const { child, exited } = await run(
      process.execPath,
      ['--import', join(here, 'mutation.ts'), join(here, 'main.ts')],
      {
        env: {
          PATH: process.env['PATH'] ?? '',
          MUTATION: name,
          SIZE: 'short',
          SCENARIO: String(scenario),
          // What does not come is waited for in vain, every time.
          SETTLE_MS: '6500',
          JSON: '1',
        },
      },
    );
    const output = collectOutput(child);
    const { code } = await exited;
    expect(output.stdout, output.stderr).toMatch(/^\{.*\}\n$/);
    const outcome = JSON.parse(output.stdout);
    expect(outcome).toMatchObject({ number: scenario });
    expect(outcome[shows], output.stdout).toBeGreaterThan(0);
    expect(code).toBe(1);
  },
);
