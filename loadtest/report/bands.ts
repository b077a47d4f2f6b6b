/** Spans of time on a chart in which something happened: restarts. */
import { clock } from './format.ts';
import { type Markup, markup } from './markup.ts';

export interface Band {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  /** Draws it as a strip in this row on top, instead of behind the whole plot. */
  readonly row?: { readonly index: number; readonly colour: string };
}

/** The share of a phone's axis that one name takes. */
const NAME = 0.11;
const MOST_NAMES = 3;

/** @param end of the time axis, in seconds */
export function drawBands(bands: readonly Band[], end: number): Markup[] {
  const at = (moment: number) => Math.min(100, Math.round((1000 * moment) / end) / 10);
  // Neighbours do not touch: one restart often follows on the other.
  const extent = ({ from, to }: Band) =>
    markup`x="${at(from)}%" width="${Math.max(0.3, at(to) - at(from) - 0.3).toFixed(1)}%"`;
  const shapes = bands.map((band) =>
    band.row
      ? markup`<rect class="strip ${band.row.colour}" ${extent(band)} y="${-14 + band.row.index * 6}" height="4"><title>${band.name} restarted from ${clock(band.from)} to ${clock(band.to)}</title></rect>`
      : markup`<rect class="band" ${extent(band)} y="0" height="100%"/><rect class="cap" ${extent(band)} y="-7" height="3"/>`,
  );
  const labels = nameGroups(
    bands.filter(({ row }) => !row),
    end,
  ).map(({ from, to, names }) => {
    const fits = from / end + NAME * Math.min(names.length, MOST_NAMES) <= 1;
    const text = names.length > MOST_NAMES ? `${names[0]} to ${names.at(-1)}` : names.join(', ');
    return markup`<text class="band-name" x="${at(fits ? from : to)}%" y="-11" text-anchor="${fits ? 'start' : 'end'}">${text}</text>`;
  });
  return [...shapes, ...labels];
}

/** Bands that are too near to each other for names of their own share a label. */
function nameGroups(bands: readonly Band[], end: number): { from: number; to: number; names: string[] }[] {
  const groups: { from: number; to: number; names: string[] }[] = [];
  for (const { name, from, to } of [...bands].sort((a, b) => a.from - b.from)) {
    const last = groups.at(-1);
    if (last && (from - last.from) / end < NAME * Math.min(last.names.length, MOST_NAMES)) {
      last.names.push(name);
      last.to = to;
    } else {
      groups.push({ from, to, names: [name] });
    }
  }
  return groups;
}
