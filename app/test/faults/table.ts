/** The outcomes as a table, one line each. */
import type { Outcome } from './scenario.ts';

const columns = ['expected', 'lost', 'doubled', 'disordered', 'refused', 'seconds'] as const;
const NAME_WIDTH = 52;

const line = (number: string, name: string, cells: readonly (string | number)[], notes = ''): string =>
  [
    number.padStart(3),
    name.padEnd(NAME_WIDTH),
    ...cells.map((cell, i) => String(cell).padStart(columns[i]?.length ?? 0)),
    notes,
  ]
    .join('  ')
    .trimEnd();

export const header = (): string => line('#', 'scenario', columns);

export function row(outcome: Outcome): string {
  const notes = Object.entries(outcome.notes).map(([name, value]) => `${name}: ${value}`);
  const cells = columns.map((column) => outcome[column]);
  const text = line(String(outcome.number), outcome.name, cells, notes.join(', '));
  return [text, ...outcome.failures.map((failure) => `     FAILED: ${failure}`)].join('\n');
}

export function totals(outcomes: readonly Outcome[]): string {
  const sums = columns.map((column) => outcomes.reduce((sum, outcome) => sum + outcome[column], 0));
  return line('', 'in all', sums);
}
