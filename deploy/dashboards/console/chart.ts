/** One chart with its legend: uPlot, fed with what Prometheus answers. */
import uPlot from 'uplot';
import type { Panel, Unit } from '../panel.ts';
import { h, hueOf, styled } from './element.ts';
import { format, timeOf } from './format.ts';
import { align, gridOf, type Numbers, type Points, stack, type Window } from './grid.ts';
import type { Mark } from './marks.ts';

export interface Line {
  name: string;
  points: Points;
}

export interface Chart {
  element: HTMLElement;
  draw(lines: readonly Line[], window: Window, marks: readonly Mark[]): void;
  /** After the colours of the page have changed. */
  repaint(): void;
}

const HEIGHT = 190;
/** Lines that stay at 0 are left out when there are more than so many. */
const MANY_LINES = 6;
/** Where the axis may have its ticks: no half connections, and bytes by powers of two. */
const STEPS: Partial<Record<Unit, number[]>> = {
  count: [1, 2, 5]
    .flatMap((digit) => [0, 1, 2, 3, 4, 5, 6, 7, 8].map((power) => digit * 10 ** power))
    .sort((a, b) => a - b),
  bytes: Array.from({ length: 44 }, (_, power) => 2 ** power),
  bytesPerSecond: Array.from({ length: 44 }, (_, power) => 2 ** power),
};
/** All charts show the time that the mouse is at. */
const sync = uPlot.sync('console');

/** @param zoom gets the selected range, in seconds since the epoch */
export function createChart(panel: Panel, zoom: (from: number, to: number) => void): Chart {
  const canvas = h('div', { className: 'chart-canvas' });
  const legend = h('ul', { className: 'legend' });
  const element = h('div', { className: 'chart' }, canvas, legend);
  let plot: uPlot | undefined;
  let lines: readonly (Line & { hue: number })[] = [];
  /** How many more there are, all at 0. */
  let flat = 0;
  let values: Numbers[] = [];
  let times: number[] = [];
  let marks: readonly Mark[] = [];
  let range: [number, number] = [0, 1];
  let shown = '';

  const colour = (index: number, alpha = 1) => {
    return `oklch(${css('--series-lightness')} ${css('--series-chroma')} ${lines[index]?.hue} / ${alpha})`;
  };

  function build(): void {
    plot?.destroy();
    const axis = { stroke: css('--ink-soft'), font: `11px ${css('--font')}`, ticks: { show: false } };
    const grid = { stroke: css('--line'), width: 1 };
    plot = new uPlot(
      {
        width: Math.max(canvas.clientWidth, 100),
        height: HEIGHT,
        padding: [10, 8, 0, 0],
        legend: { show: false },
        cursor: {
          sync: { key: sync.key, setSeries: false },
          y: false,
          points: { size: 6 },
          drag: { x: true, y: false },
        },
        scales: {
          x: { time: true, range: () => range },
          y: { range: (_, low, high) => extent(panel, low, high) },
        },
        axes: [
          { ...axis, grid: { show: false }, size: 26, space: 70, values: clockTicks },
          {
            ...axis,
            ...{ grid, size: 62, space: 34, gap: 6 },
            ...(STEPS[panel.unit] && { incrs: STEPS[panel.unit] as number[] }),
            values: (_, ticks) => ticks.map((tick) => format(panel.unit, tick)),
          },
        ],
        series: [
          {},
          ...lines.map((line, index) => ({
            label: line.name,
            stroke: colour(index),
            width: 1.5,
            fill: panel.stacked ? colour(index, 0.24) : lines.length === 1 ? colour(index, 0.12) : 'transparent',
            points: { show: false },
            // A hole of one scrape is one that Prometheus missed; a longer one is a process that was not there.
            spanGaps: false,
          })),
        ],
        bands: panel.stacked ? lines.slice(1).map((_, i) => ({ series: [i + 2, i + 1] as [number, number] })) : [],
        hooks: {
          draw: [drawThresholds, drawMarks],
          setCursor: [() => writeLegend()],
          setSelect: [
            (self) => {
              const { left, width } = self.select;
              if (width < 6) return;
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              zoom(self.posToVal(left, 'x'), self.posToVal(left + width, 'x'));
            },
          ],
        },
      },
      table(),
      canvas,
    );
    writeLegend();
  }

  const table = () => [times, ...(panel.stacked ? stack(values) : values)] as uPlot.AlignedData;

  function drawThresholds({ ctx, bbox, valToPos, scales }: uPlot): void {
    const [low = 0, high = 0] = [scales['y']?.min, scales['y']?.max];
    for (const { from, level } of panel.thresholds) {
      if (from === null || from <= low || from >= high || panel.unit === 'upDown') continue;
      line(ctx, css(`--${level}`), [4, 4], () => {
        const y = valToPos(from, 'y', true);
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
      });
    }
  }

  function drawMarks({ ctx, bbox, valToPos }: uPlot): void {
    ctx.font = `${10 * devicePixelRatio}px ${css('--font')}`;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'top';
    const inside = marks.filter(({ at }) => at >= range[0] && at <= range[1]);
    inside.sort((a, b) => a.at - b.at);
    for (const [index, { at, name, level }] of inside.entries()) {
      const x = valToPos(at, 'x', true);
      line(ctx, css(`--${level}`), [2, 3], () => {
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
      });
      const size = 4 * devicePixelRatio;
      ctx.fillStyle = css(`--${level}`);
      ctx.beginPath();
      ctx.moveTo(x - size, bbox.top - size);
      ctx.lineTo(x + size, bbox.top - size);
      ctx.lineTo(x, bbox.top + size / 2);
      ctx.fill();
      // Its name, where there is room for it.
      const next = inside[index + 1];
      const end = Math.min(
        next ? valToPos(next.at, 'x', true) - size : Number.POSITIVE_INFINITY,
        bbox.left + bbox.width,
      );
      if (x + size + ctx.measureText(name).width < end) ctx.fillText(name, x + size, bbox.top);
    }
  }

  /** The last values, or those at the mouse. */
  function writeLegend(): void {
    const at = plot?.cursor.idx ?? undefined;
    legend.replaceChildren(
      ...lines.map(({ name }, index) =>
        h(
          'li',
          {},
          styled(h('i', { className: 'swatch', ariaHidden: 'true' }), { background: colour(index) }),
          h('span', { className: 'legend-name' }, name),
          h('b', {}, format(panel.unit, values[index]?.[at ?? times.length - 1])),
        ),
      ),
      ...(flat > 0
        ? [h('li', { className: 'legend-more' }, `${lines.length > 0 ? `${flat} more` : `all ${flat}`} at 0`)]
        : []),
      ...(at !== undefined ? [h('li', { className: 'legend-time' }, timeOf(times[at] ?? 0))] : []),
    );
  }

  new ResizeObserver(() => {
    if (plot && canvas.clientWidth > 0 && canvas.clientWidth !== plot.width)
      plot.setSize({ width: canvas.clientWidth, height: HEIGHT });
  }).observe(canvas);

  return {
    element,
    repaint: () => plot && build(),
    draw(newLines, window, newMarks) {
      marks = newMarks;
      range = [window.from, window.to];
      times = gridOf(window);
      const rows = newLines.map((line, place) => ({
        line: { ...line, hue: hueOf(line.name, place) },
        numbers: align(line.points, times, window.step),
      }));
      const kept =
        rows.length > MANY_LINES || panel.stacked ? rows.filter(({ numbers }) => numbers.some(Boolean)) : rows;
      flat = rows.length - kept.length;
      lines = kept.map(({ line }) => line);
      values = kept.map(({ numbers }) => numbers);
      // uPlot keeps its lines; others need another plot.
      const names = lines.map(({ name }) => name).join('\n');
      if (plot && names === shown) {
        plot.setData(table());
        writeLegend();
      } else {
        shown = names;
        build();
      }
    },
  };
}

function css(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function line(ctx: CanvasRenderingContext2D, stroke: string, dash: number[], path: () => void): void {
  ctx.save();
  ctx.strokeStyle = stroke;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
  ctx.beginPath();
  path();
  ctx.stroke();
  ctx.restore();
}

function extent({ min, max }: Panel, low: number | null, high: number | null): [number, number] {
  const top = max ?? (high === null || high <= 0 ? 1 : high * 1.12);
  return [min ?? Math.min(low ?? 0, 0), max === undefined ? top : top * 1.04];
}

function clockTicks(_: uPlot, ticks: readonly number[]): string[] {
  const far = (ticks.at(-1) ?? 0) - (ticks[0] ?? 0) > 36 * 3600;
  const close = (ticks[1] ?? 0) - (ticks[0] ?? 0) < 60;
  return ticks.map((tick) => {
    const date = new Date(tick * 1000);
    if (far) return date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
    return date.toLocaleTimeString('en-GB', {
      hour: '2-digit',
      minute: '2-digit',
      ...(close && { second: '2-digit' }),
    });
  });
}
