/** What each instance was doing, as a bar of states over time. */
import { instanceStates } from '../panel.ts';
import { h, styled } from './element.ts';
import { duration, timeOf } from './format.ts';
import type { Window } from './grid.ts';
import type { Mark } from './marks.ts';
import { byName, type Series } from './prometheus.ts';

interface Segment {
  from: number;
  to: number;
  /** Index in `instanceStates`; undefined where nothing is known. */
  state: number | undefined;
}

export function drawStates(
  element: HTMLElement,
  series: readonly Series[],
  window: Window,
  marks: readonly Mark[],
): void {
  const { from, to, step } = window;
  const percent = (time: number) => `${(100 * (time - from)) / (to - from)}%`;
  // The states of an instance are several series, which take turns.
  const instances = new Map<string, (readonly [number, number])[]>();
  for (const { labels, points } of series) {
    const name = labels['instance'] ?? '';
    instances.set(name, [...(instances.get(name) ?? []), ...points]);
  }
  const rows = [...instances.keys()].sort(byName).map((name) => {
    const points = (instances.get(name) ?? []).sort(([a], [b]) => a - b);
    const bars = segmentsOf(points, step)
      .filter(({ state }) => state !== undefined)
      .map(({ from: begin, to: end, state = 0 }) => {
        const { name: word, level } = instanceStates[state] ?? instanceStates[0];
        const bar = h('div', { className: 'state', data: { level } });
        bar.title = `${name} ${word}, ${timeOf(begin)} to ${timeOf(end)} (${duration(end - begin)})`;
        bar.append(h('span', {}, word));
        return styled(bar, {
          left: percent(Math.max(begin, from)),
          right: `calc(100% - ${percent(Math.min(end, to))})`,
        });
      });
    return h(
      'div',
      { className: 'states-row' },
      h('span', { className: 'states-name' }, name),
      h('div', { className: 'states-track' }, ...bars),
    );
  });
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) =>
    styled(h('span', {}, timeOf(from + share * (to - from)).replace(to - from > 1000 ? /:\d\d$/ : '', '')), {
      left: `${share * 100}%`,
    }),
  );
  const lines = marks
    .filter(({ at }) => at > from && at < to)
    .map(({ at, level }) => styled(h('i', { className: 'states-mark', data: { level } }), { left: percent(at) }));
  element.replaceChildren(
    h('div', { className: 'states-rows' }, ...rows, h('div', { className: 'states-marks' }, ...lines)),
    h('div', { className: 'states-axis' }, ...ticks),
  );
}

function segmentsOf(points: readonly (readonly [number, number])[], step: number): Segment[] {
  const segments: Segment[] = [];
  for (const [time, state] of points) {
    const last = segments.at(-1);
    if (last && time - last.to <= step * 0.5 && last.state === state) last.to = time + step;
    else segments.push({ from: time, to: time + step, state });
  }
  return segments;
}
