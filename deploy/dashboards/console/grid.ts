/** Points on the times that a chart has in common. */
export interface Window {
  from: number;
  to: number;
  step: number;
}

export type Points = readonly (readonly [number, number])[];
export type Numbers = (number | null)[];

export function gridOf({ from, to, step }: Window): number[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);
}

/** Values on the grid; null where there is none. */
export function align(points: Points, times: readonly number[], step: number): Numbers {
  const values: Numbers = times.map(() => null);
  for (const [time, value] of points) {
    const index = Math.round((time - (times[0] ?? 0)) / step);
    if (index >= 0 && index < values.length && Number.isFinite(value)) values[index] = value;
  }
  return values;
}

/** Each line on top of those before it. One that is not there adds nothing; where none is, nothing is known. */
export function stack(values: readonly Numbers[]): Numbers[] {
  const sums: Numbers = (values[0] ?? []).map((_, i) => (values.some((row) => typeof row[i] === 'number') ? 0 : null));
  return values.map((row) =>
    row.map((value, i) => {
      const sum = sums[i] ?? null;
      sums[i] = sum === null ? null : sum + (value ?? 0);
      return sums[i];
    }),
  );
}
