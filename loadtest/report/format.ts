/** Numbers as people read them, the same in the terminal and on the page. */
import type { Metric } from './result.ts';

/** Stands where there is no value. */
export const NONE = '–';

/** Three significant digits below a hundred, whole numbers with commas above. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}

/** Milliseconds, or seconds from ten on. */
export function milliseconds(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  return Math.abs(value) >= 10_000 ? `${number(value / 1000)} s` : `${number(value)} ms`;
}

export const percent = (share: number): string =>
  `${(share * 100).toLocaleString('en', { maximumFractionDigits: 1 })} %`;

/** A span: `42 s`, `2 min`, `2 min 5 s`, `1 h 30 min`. */
export function span(seconds: number): string {
  if (seconds < 60) return `${number(seconds < 10 ? seconds : Math.round(seconds))} s`;
  const whole = Math.round(seconds);
  const units: [number, string][] = [
    [Math.floor(whole / 3600), 'h'],
    [Math.floor((whole % 3600) / 60), 'min'],
    [whole < 3600 ? whole % 60 : 0, 's'],
  ];
  return units.flatMap(([value, unit]) => (value > 0 ? [`${value} ${unit}`] : [])).join(' ');
}

/** A moment of the run: `0:42`, `12:05`, `1:02:05`. */
export function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const hours = Math.floor(whole / 3600);
  const two = (value: number) => String(value).padStart(2, '0');
  const minutes = Math.floor((whole % 3600) / 60);
  return `${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}`;
}

export const plural = (value: number, one: string, several = `${one}s`): string =>
  `${number(value)} ${value === 1 ? one : several}`;

/** `delivery_gap` as people say it. */
export const words = (name: string): string => name.replaceAll('_', ' ');

/** A value of a metric in the metric's unit. `count` and `rate` are plain numbers whatever it contains. */
export function measured(metric: Metric | undefined, statistic: string, value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  if (metric?.contains === 'time' && statistic !== 'count') return milliseconds(value);
  if (metric?.type === 'rate' && statistic === 'rate') return percent(value);
  if (metric?.contains === 'data' && statistic === 'count') return bytes(value);
  return number(value);
}

function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)));
  return `${number(value / 1000 ** power)} ${units[power]}`;
}
