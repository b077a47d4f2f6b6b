/**
 * The fault suite as a program: node app/test/faults/main.ts, in full size unless SIZE=short. SCENARIO=2,7 runs some;
 * SEED repeats a run's choices. Exits 1 when anything was lost, doubled, disordered or refused, or a claim failed.
 */
import { createRunner, isClean, type Outcome, type Size } from './scenario.ts';
import { scenarios } from './scenarios/index.ts';
import { header, row, totals } from './table.ts';

const { SCENARIO, SEED, SIZE, JSON: asJson } = process.env;
const wanted = SCENARIO?.split(',').map(Number);
const chosen = scenarios.filter(({ number }) => !wanted || wanted.includes(number));
const size: Size = SIZE === 'short' ? 'short' : 'full';
const seed = SEED ? Number(SEED) : Math.floor(Math.random() * 2 ** 32);
if (chosen.length === 0 || !Number.isInteger(seed)) {
  console.error(`SCENARIO is one or more of ${scenarios.map(({ number }) => number)}; SEED is a whole number`);
  process.exit(64);
}

console.error(`seed ${seed}`);
if (!asJson) console.log(header());
const outcomes: Outcome[] = [];
{
  await using runner = createRunner({ size, seed });
  for (const scenario of chosen) {
    const outcome = await runner.run(scenario);
    outcomes.push(outcome);
    console.log(asJson ? JSON.stringify(outcome) : row(outcome));
  }
}
if (!asJson) console.log(totals(outcomes));
process.exit(outcomes.every(isClean) ? 0 : 1);
