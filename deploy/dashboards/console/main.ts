/** The console page: wires the view, the top and the board that is open, and keeps them fresh. */
import { dashboards } from '../panels.ts';
import { stepOf } from '../promql.ts';
import { type Board, createBoard } from './cards.ts';
import { byId, h } from './element.ts';
import { createFleet } from './fleet.ts';
import { span, timeOf } from './format.ts';
import { RANGES, REFRESHES, readView, type View, writeView } from './view.ts';

/** Points in a chart, at most. Those that the top looks at are closer, so that it misses nothing. */
const POINTS = 240;
const EVENT_POINTS = 720;

const select = (id: string) => byId<HTMLSelectElement>(id);
const boards = new Map<string, Board>();
let view: View = readView(location.hash, dashboards);
let instances: string[] = [];
let running: AbortController | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

function change(to: Partial<View>): void {
  location.hash = writeView({ ...view, ...to });
}

const zoom = (from: number, to: number) =>
  change({ until: Math.round(to), range: Math.max(60, Math.round(to - from)) });

function boardOf(id: string): Board {
  const known = boards.get(id);
  const dashboard = dashboards.find((each) => each.id === id);
  if (known) return known;
  if (!dashboard) throw new Error(`there is no dashboard ${id}`);
  const board = createBoard(dashboard, zoom);
  boards.set(id, board);
  return board;
}

function write(): void {
  const current = dashboards.find(({ id }) => id === view.dashboard);
  for (const tab of byId('tabs').querySelectorAll('a')) {
    const { dashboard = '' } = tab.dataset;
    tab.href = writeView({ ...view, dashboard });
    if (dashboard === view.dashboard) tab.ariaCurrent = 'page';
    else tab.removeAttribute('aria-current');
  }
  byId('board').replaceChildren(boardOf(view.dashboard).element);
  document.title = `${current?.title} · wsfleet`;

  const known = RANGES.some(({ seconds }) => seconds === view.range);
  select('range').replaceChildren(
    ...(known ? [] : [h('option', { value: String(view.range) }, span(view.range))]),
    ...RANGES.map(({ seconds, name }) => h('option', { value: String(seconds) }, name)),
  );
  select('range').value = String(view.range);
  select('refresh').value = String(view.refresh);
  byId('live').hidden = view.until === undefined;
  byId('instance-choice').hidden = !current?.ofOneInstance;
  writeInstances();
}

function writeInstances(): void {
  const chosen = view.instance || instances[0] || '';
  const names = instances.includes(chosen) || !chosen ? instances : [chosen, ...instances];
  const options = names.map((name) => h('option', { value: name }, name));
  const same = [...select('instance').options].map(({ value }) => value).join() === names.join();
  if (!same) select('instance').replaceChildren(...options);
  select('instance').value = chosen;
}

async function refresh(): Promise<void> {
  clearTimeout(timer);
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  const { range } = view;
  const now = Math.floor(view.until ?? Date.now() / 1000);
  // On whole steps, so that what is drawn does not flicker from refresh to refresh.
  const windowOf = (points: number) => {
    const step = stepOf(range, points);
    const to = view.until ?? Math.floor(now / step) * step;
    return { from: Math.floor((to - range) / step) * step, to, step };
  };
  const board = boardOf(view.dashboard);
  try {
    const fleet = await createdFleet.load({ ...windowOf(EVENT_POINTS), to: now }, view.until !== undefined, signal);
    instances = fleet.instances;
    writeInstances();
    const instance = view.instance || instances[0] || '';
    for (const card of board.cards) card.mark(fleet.marks);
    await Promise.all(board.cards.map((card) => card.load({ ...windowOf(POINTS), now, instance, signal })));
    if (signal.aborted) return;
    byId('updated').textContent = view.until ? `until ${timeOf(view.until)}` : `updated ${timeOf(Date.now() / 1000)}`;
    document.documentElement.dataset['drawn'] = view.dashboard;
  } catch (error) {
    if (signal.aborted) return;
    createdFleet.fail((error as Error).message);
  }
  schedule();
}

function schedule(): void {
  clearTimeout(timer);
  if (view.refresh > 0 && view.until === undefined) {
    timer = setTimeout(() => (document.hidden ? schedule() : void refresh()), view.refresh * 1000);
  }
}

const createdFleet = createFleet((instance) => {
  change({ dashboard: 'instance', instance });
  byId('board').scrollIntoView({ behavior: 'smooth' });
});

byId('tabs').append(
  ...dashboards.map(({ id, title, description }) => {
    const tab = h('a', { data: { dashboard: id } }, title);
    tab.title = description;
    return tab;
  }),
);
select('refresh').append(
  ...REFRESHES.map((seconds) => h('option', { value: String(seconds) }, seconds === 0 ? 'off' : `${seconds} s`)),
);
select('range').addEventListener('change', (event) =>
  change({ range: Number((event.target as HTMLSelectElement).value), until: undefined }),
);
select('refresh').addEventListener('change', (event) =>
  change({ refresh: Number((event.target as HTMLSelectElement).value) }),
);
select('instance').addEventListener('change', (event) =>
  change({ instance: (event.target as HTMLSelectElement).value }),
);
byId('live').addEventListener('click', () => change({ until: undefined, range: RANGES[0].seconds }));
byId('theme').addEventListener('click', () => {
  const theme = document.documentElement.dataset['theme'] === 'dark' ? 'light' : 'dark';
  localStorage.setItem('theme', theme);
  setTheme(theme);
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => setTheme(localStorage.getItem('theme')));

function setTheme(theme: string | null): void {
  const dark = theme ? theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset['theme'] = dark ? 'dark' : 'light';
  for (const board of boards.values()) for (const card of board.cards) card.repaint();
}

addEventListener('hashchange', () => {
  view = readView(location.hash, dashboards);
  write();
  void refresh();
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && view.until === undefined) void refresh();
});

setTheme(localStorage.getItem('theme'));
write();
void refresh();
