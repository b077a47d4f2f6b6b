/** One card for each panel, which can fill itself. */
import { type Dashboard, levelOf, linesOf, type Panel, stateLevels, type Unit } from '../panel.ts';
import { fillIn } from '../promql.ts';
import { type Chart, createChart, type Line } from './chart.ts';
import { h, styled } from './element.ts';
import { format } from './format.ts';
import type { Window } from './grid.ts';
import type { Mark } from './marks.ts';
import { byName, nameOf, queryAt, queryRange, type Series } from './prometheus.ts';
import { drawStates } from './states-chart.ts';

export interface Moment extends Window {
  /** When single values are asked for; charts end on a whole step before it. */
  now: number;
  instance: string;
  signal: AbortSignal;
}

export interface Card {
  element: HTMLElement;
  /** Asks Prometheus and shows the answer; what fails is said on the card. */
  load(moment: Moment): Promise<void>;
  /** Draws what it has once more, with these marks. */
  mark(marks: readonly Mark[]): void;
  repaint(): void;
}

export interface Board {
  element: HTMLElement;
  cards: readonly Card[];
}

type Zoom = (from: number, to: number) => void;

export function createBoard(dashboard: Dashboard, zoom: Zoom): Board {
  const cards: Card[] = [];
  const add = (panel: Panel) => {
    const card = createCard(panel, zoom);
    cards.push(card);
    return card.element;
  };
  const rows = dashboard.rows.map(({ question, panels }) => {
    const stats = panels.filter(({ kind }) => kind === 'stat');
    const wide = panels.filter(({ kind }) => kind === 'states' || kind === 'table');
    const charts = panels.filter(({ kind }) => kind === 'timeseries');
    const lines = linesOf(charts.length).map((count) => charts.splice(0, count));
    return h(
      'section',
      { className: 'row' },
      h('h2', {}, question),
      stats.length > 0 ? h('div', { className: 'tiles' }, ...stats.map(add)) : undefined,
      ...wide.map(add),
      ...lines.map((line) =>
        styled(h('div', { className: 'charts' }, ...line.map(add)), { '--columns': String(line.length) }),
      ),
    );
  });
  return { element: h('div', { className: 'board', id: `board-${dashboard.id}` }, ...rows), cards };
}

function createCard(panel: Panel, zoom: Zoom): Card {
  const problem = h('p', { className: 'problem', hidden: true });
  const body = h('div', { className: 'card-body' });
  const element = h(
    'article',
    { className: `card card-${panel.kind}`, id: panel.id },
    h(
      'details',
      { className: 'about' },
      h(
        'summary',
        { title: panel.description },
        h('h3', {}, panel.title),
        h('span', { className: 'question' }, panel.question),
      ),
      h('p', {}, panel.description),
    ),
    body,
    problem,
  );
  const content = { timeseries, states, stat, table }[panel.kind](panel, body, zoom);
  return {
    element,
    mark: content.mark ?? (() => undefined),
    repaint: content.repaint ?? (() => undefined),
    async load(moment) {
      try {
        const empty = await content.load(moment);
        problem.textContent = panel.noValue ?? 'nothing to show';
        problem.hidden = !empty;
        element.dataset['state'] = empty ? 'empty' : 'drawn';
      } catch (error) {
        if (moment.signal.aborted) return;
        problem.textContent = (error as Error).message;
        problem.hidden = false;
        element.dataset['state'] = 'failed';
      }
    },
  };
}

interface Content {
  /** Resolves to true when there is nothing to show. */
  load(moment: Moment): Promise<boolean>;
  mark?(marks: readonly Mark[]): void;
  repaint?(): void;
}

function ranges({ queries }: Panel, moment: Moment): Promise<Series[][]> {
  const { from, to, step, signal } = moment;
  const view = { range: to - from, step, instance: moment.instance };
  return Promise.all(queries.map(({ expr }) => queryRange(fillIn(expr, view), from, to, step, signal)));
}

function values({ queries }: Panel, moment: Moment): Promise<Series[][]> {
  const { from, to, step, now, signal } = moment;
  const view = { range: to - from, step, instance: moment.instance };
  return Promise.all(queries.map(({ expr }) => queryAt(fillIn(expr, view), now, signal)));
}

function timeseries(panel: Panel, body: HTMLElement, zoom: Zoom): Content {
  const chart: Chart = createChart(panel, zoom);
  body.append(chart.element);
  let drawn: { lines: Line[]; window: Window } | undefined;
  let marks: readonly Mark[] = [];
  const draw = () => drawn && chart.draw(drawn.lines, drawn.window, marks);
  return {
    async load(moment) {
      const answers = await ranges(panel, moment);
      const lines = answers.flatMap((series, index) =>
        series.map(({ labels, points }) => ({ name: nameOf(panel.queries[index]?.legend ?? '', labels), points })),
      );
      if (panel.queries.length === 1) lines.sort((a, b) => byName(a.name, b.name));
      drawn = { lines, window: moment };
      draw();
      return !lines.some(({ points }) => points.some(([, value]) => Number.isFinite(value)));
    },
    mark(newMarks) {
      marks = newMarks;
      draw();
    },
    repaint: () => chart.repaint(),
  };
}

function states(panel: Panel, body: HTMLElement): Content {
  let drawn: { series: Series[]; window: Window } | undefined;
  let marks: readonly Mark[] = [];
  const draw = () => drawn && drawStates(body, drawn.series, drawn.window, marks);
  return {
    async load(moment) {
      drawn = { series: (await ranges(panel, moment)).flat(), window: moment };
      draw();
      return drawn.series.length === 0;
    },
    mark(newMarks) {
      marks = newMarks;
      draw();
    },
  };
}

function stat(panel: Panel, body: HTMLElement): Content {
  const value = h('output', { className: 'value' });
  body.append(value);
  return {
    async load(moment) {
      const number = (await values(panel, moment))[0]?.[0]?.points[0]?.[1] ?? Number.NaN;
      const known = Number.isFinite(number);
      // increase() extrapolates: nobody was counted by halves.
      value.textContent = known ? format(panel.unit, panel.unit === 'count' ? Math.round(number) : number) : '';
      value.dataset['level'] = known ? levelOf(panel.thresholds, number) : 'plain';
      return !known;
    },
  };
}

function table(panel: Panel, body: HTMLElement): Content {
  return {
    async load(moment) {
      const columns = await values(panel, moment);
      const figureOf = (column: number, name: string) =>
        columns[column]?.find(({ labels }) => labels['instance'] === name)?.points[0]?.[1];
      const names = [...new Set(columns.flat().map(({ labels }) => labels['instance'] ?? ''))].sort(byName);
      const cell = (name: string, index: number, unit: Unit) => {
        const value = figureOf(index, name);
        const text = format(unit, value);
        if (unit !== 'state') return h('td', {}, text);
        return h('td', {}, h('span', { className: 'pill', data: { level: stateLevel(value) } }, text));
      };
      body.replaceChildren(
        h(
          'table',
          {},
          h(
            'thead',
            {},
            h('tr', {}, h('th', {}, 'Instance'), ...panel.queries.map(({ legend }) => h('th', {}, legend))),
          ),
          h(
            'tbody',
            {},
            ...names.map((name) =>
              h('tr', {}, h('th', {}, name), ...panel.queries.map(({ unit }, i) => cell(name, i, unit ?? panel.unit))),
            ),
          ),
        ),
      );
      return names.length === 0;
    },
  };
}

function stateLevel(value: number | undefined): string {
  return value === undefined ? 'plain' : levelOf(stateLevels, value);
}
