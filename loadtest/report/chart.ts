/**
 * Charts as inline SVG that needs no script. The lines are drawn in a square of 1000 that is stretched to the page's width; all text stands outside
 * of it at positions in per cent, so that it keeps its size on a phone and on paper.
 */
import { ticks, timeTicks } from './axis.ts';
import { type Band, drawBands } from './bands.ts';
import { clock, number, plural, span } from './format.ts';
import { type Markup, markup } from './markup.ts';

export interface Series {
  readonly name: string;
  /** Class of its colour and stroke: report.css */
  readonly colour: string;
  /** One a moment; null where nothing was measured: the line has a hole there. */
  readonly points: readonly (number | null)[];
}

export interface ChartOptions {
  readonly id: string;
  readonly title: string;
  /** What is on the vertical axis: `ms`, `messages/s` */
  readonly unit: string;
  /** Length of the time axis. */
  readonly seconds: number;
  /** When each point was measured. */
  readonly at: readonly number[];
  /** Seconds that one point stands for. */
  readonly width: number;
  readonly series: readonly Series[];
  /** Areas on top of each other instead of lines. */
  readonly stacked?: boolean;
  readonly bands: readonly Band[];
  /** A line at a value: what the run was not to exceed. */
  readonly limit?: { readonly value: number; readonly name: string } | undefined;
  /** Moments to mark on the time axis. */
  readonly marks?: { readonly name: string; readonly at: readonly number[] };
  readonly note?: string | undefined;
}

const SQUARE = 1000;
/** A limit this far above everything is said in words: drawn, it would press the lines flat. */
const FAR = 4;

export function chart(options: ChartOptions): Markup {
  const { id, title, unit, series, marks } = options;
  const plot = layOut(options);
  const limit = options.limit;
  const isDrawn = limit !== undefined && limit.value <= plot.most * FAR;
  const notes = [
    limit && !isDrawn && `${limit.name} (${number(limit.value)} ${unit}) is far above this scale.`,
    options.width > 1 && `Each point stands for ${span(options.width)}.`,
    options.note,
  ].filter((note) => typeof note === 'string');
  return markup`<figure class="chart" aria-labelledby="${id}-head">
<figcaption><h3 id="${id}-head">${title} <small>${unit}</small></h3>${legend(options, isDrawn)}</figcaption>
${
  plot.isEmpty
    ? markup`<p class="nothing">No samples.</p>`
    : markup`<svg class="plot" role="img" aria-labelledby="${id}-title ${id}-desc">
<title id="${id}-title">${title}, ${unit}</title>
<desc id="${id}-desc">${describe(options)}</desc>
${drawBands(options.bands, plot.end)}
${plot.ticks.map((tick) => {
  const y = plot.y(tick) / 10;
  return markup`<line class="grid" x1="0" x2="100%" y1="${y}%" y2="${y}%"/><text class="label" x="-8" y="${y}%" dy="0.35em" text-anchor="end">${number(tick)}</text>`;
})}
${timeTicks(plot.end).map((tick) => {
  const x = round(plot.x(tick) / 10);
  return markup`<line class="tick" x1="${x}%" x2="${x}%" y1="100%" y2="100%"/><text class="label" x="${x}%" y="100%" dy="1.5em" text-anchor="middle">${clock(tick)}</text>`;
})}
<svg viewBox="0 0 ${SQUARE} ${SQUARE}" width="100%" height="100%" preserveAspectRatio="none">${options.stacked ? areas(series, plot) : series.map((each) => line(each, plot))}</svg>
${limit && isDrawn && markup`<line class="limit" x1="0" x2="100%" y1="${plot.y(limit.value) / 10}%" y2="${plot.y(limit.value) / 10}%"/>`}
${marks?.at.map((at) => markup`<circle class="mark" cx="${round(plot.x(at) / 10)}%" cy="100%" r="4"/>`)}
${columns(options, plot)}
</svg>`
}${notes.map((note) => markup`<p class="note">${note}</p>`)}
</figure>`;
}

interface Plot {
  readonly isEmpty: boolean;
  readonly at: readonly number[];
  readonly end: number;
  readonly most: number;
  readonly ticks: readonly number[];
  x(at: number): number;
  y(value: number): number;
}

function layOut({ seconds, at, series, stacked, limit }: ChartOptions): Plot {
  const sums = at.map((_, index) => series.reduce((sum, { points }) => sum + (points[index] ?? 0), 0));
  const values = series.flatMap(({ points }) => points.filter((point) => point !== null));
  const most = (stacked ? sums : values).reduce((max, value) => Math.max(max, value), 0);
  const end = Math.max(1, seconds, at.at(-1) ?? 0);
  const steps = ticks(limit && limit.value <= most * FAR ? Math.max(most, limit.value) : most);
  const top = steps.at(-1) ?? 1;
  return {
    isEmpty: values.length === 0,
    at,
    end,
    most,
    ticks: steps,
    x: (moment) => (Math.min(moment, end) / end) * SQUARE,
    y: (value) => round(SQUARE - (value / top) * SQUARE),
  };
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** A path with a hole wherever there is no value; a value between two holes is a dot. */
function line({ colour, points }: Series, { at, x, y }: Plot): Markup {
  let pen = 'M';
  const path = at.map((moment, index) => {
    const value = points[index] ?? null;
    const command = value === null ? '' : `${pen}${round(x(moment))} ${y(value)}${pen === 'M' ? 'h0' : ''}`;
    pen = value === null ? 'M' : 'L';
    return command;
  });
  return markup`<path class="line ${colour}" d="${path.join('')}"/>`;
}

/** One area a series, the first at the bottom. */
function areas(series: readonly Series[], { at, x, y }: Plot): Markup[] {
  const floor = at.map(() => 0);
  return series.map(({ colour, points }) => {
    const lower = at.map((moment, index) => `${round(x(moment))} ${y(floor[index] ?? 0)}`);
    points.forEach((point, index) => {
      floor[index] = (floor[index] ?? 0) + (point ?? 0);
    });
    const upper = at.map((moment, index) => `${round(x(moment))} ${y(floor[index] ?? 0)}`);
    return markup`<path class="area ${colour}" d="M${[...upper, ...lower.reverse()].join('L')}Z"/>`;
  });
}

/** A column a point that shows its values while the pointer is over it. */
function columns({ series, unit, bands, marks }: ChartOptions, { at, x, end }: Plot): Markup[] {
  return at.map((moment, index) => {
    const next = at[index + 1] ?? end;
    const start = x(moment);
    const width = x(next) - start;
    const values = series.map(({ name, points }) => `${name}: ${number(points[index])} ${unit}`);
    const over = bands.filter(({ from, to }) => from < next && moment <= to).map(({ name }) => `${name} restarts`);
    const lines = [clock(moment), ...values, ...(marks?.at.includes(moment) ? [marks.name] : []), ...over];
    return markup`<rect class="column" x="${round(start / 10)}%" y="0" width="${round(width / 10)}%" height="100%"><title>${lines.join('\n')}</title></rect>`;
  });
}

function legend({ series, bands, limit, marks }: ChartOptions, isDrawn: boolean): Markup | false {
  const items = [
    ...(series.length > 1 ? series.map(({ name, colour }) => ({ name, kind: `key ${colour}` })) : []),
    ...(limit && isDrawn ? [{ name: limit.name, kind: 'key limit' }] : []),
    ...(bands.some(({ row }) => !row) ? [{ name: 'restart', kind: 'key band' }] : []),
    ...(marks && marks.at.length > 0 ? [{ name: marks.name, kind: 'key mark' }] : []),
  ];
  return (
    items.length > 0 &&
    markup`<ul class="legend">${items.map(({ name, kind }) => markup`<li><i class="${kind}"></i>${name}</li>`)}</ul>`
  );
}

/** For those who do not see the lines: the range of each. */
function describe({ series, bands, unit, at }: ChartOptions): string {
  const ranges = series.map(({ name, points }) => {
    const values = points.filter((point) => point !== null);
    if (values.length === 0) return `${name} was not measured`;
    const most = values.reduce((max, value) => Math.max(max, value));
    const least = values.reduce((min, value) => Math.min(min, value));
    const when = at[points.indexOf(most)] ?? 0;
    return `${name} from ${number(least)} to ${number(most)} ${unit}, the most at ${clock(when)}`;
  });
  const restarts = bands.map(({ name, from, to }) => `${name} ${clock(from)} to ${clock(to)}`);
  return `${ranges.join('; ')}.${restarts.length > 0 ? ` ${plural(bands.length, 'restart')}: ${restarts.join(', ')}.` : ''}`;
}
