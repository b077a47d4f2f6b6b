/** Text on a terminal: what does not fit is cut, and only the lines that changed are written. */

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red';
/** A line is made of pieces of text, each in a style or in none. */
export type Piece = string | readonly [text: string, style: Style];
export type Line = readonly Piece[];

const codes: Record<Style, number> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 };

/** The line in so many columns at most, as the terminal takes it. */
export function render(line: Line, columns: number, color: boolean): string {
  let left = columns;
  let out = '';
  for (const piece of line) {
    const [text, style] = typeof piece === 'string' ? [piece] : piece;
    let shown = '';
    for (const character of text) {
      left -= columnsOf(character);
      if (left < 0) break;
      shown += character;
    }
    out += style && color && shown ? `\x1b[${codes[style]}m${shown}\x1b[0m` : shown;
    if (left <= 0) break;
  }
  return out;
}

/** East Asian characters and emoji take two columns; that everything from there on does errs to the safe side. */
const columnsOf = (character: string) => ((character.codePointAt(0) ?? 0) >= 0x1100 ? 2 : 1);

export interface Screen {
  /** Draws the lines from the top; draws them again when the size has changed. */
  draw(lines: readonly Line[]): void;
  resize(rows: number, columns: number): void;
  readonly rows: number;
}

export function createScreen(options: { color: boolean; write(text: string): void }): Screen {
  let rows = 24;
  let columns = 80;
  let shown: string[] | undefined;
  return {
    get rows() {
      return rows;
    },
    resize(newRows, newColumns) {
      // A terminal that does not know its size says 0.
      if (!newRows || !newColumns || (newRows === rows && newColumns === columns)) return;
      rows = newRows;
      columns = newColumns;
      shown = undefined;
    },
    draw(lines) {
      const next = Array.from({ length: rows }, (_, row) => render(lines[row] ?? [], columns, options.color));
      const changes = next.map((text, row) => (text === (shown?.[row] ?? '') ? '' : `\x1b[${row + 1};1H\x1b[K${text}`));
      const out = (shown ? '' : '\x1b[2J') + changes.join('');
      shown = next;
      if (out) options.write(out);
    },
  };
}
