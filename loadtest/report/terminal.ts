/** Text for a terminal: colours for people only, and columns that line up. */

export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
}

const wrap = (code: number) => (text: string) => `\u001b[${code}m${text}\u001b[0m`;
const asIs = (text: string) => text;

export const colours: Paint = { bold: wrap(1), dim: wrap(2), good: wrap(32), bad: wrap(31) };
export const plain: Paint = { bold: asIs, dim: asIs, good: asIs, bad: asIs };

/** Colours on a terminal, unless NO_COLOR is set. */
export function paintFor(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): Paint {
  return stream.isTTY && !env['NO_COLOR'] ? colours : plain;
}

/** What a terminal would obey instead of showing it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
const control = /[\u0000-\u001f\u007f-\u009f]/g;

/** @param figures indices of the columns that stand to the right */
export function lines(rows: readonly (readonly string[])[], figures: readonly number[] = []): string[] {
  const cells = rows.map((row) => row.map((cell) => cell.replace(control, '\ufffd')));
  const widths = cells.reduce<number[]>(
    (all, row) => row.map((cell, index) => Math.max(cell.length, all[index] ?? 0)),
    [],
  );
  return cells.map((row) =>
    row
      .map((cell, index) =>
        figures.includes(index) ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}
