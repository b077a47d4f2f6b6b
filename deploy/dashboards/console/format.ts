/** How values read. */
import { instanceStates, type Unit, upDown } from '../panel.ts';

const NOTHING = '–';

/** Two or three digits that count, and no needless zeros. */
function digits(value: number): string {
  const size = Math.abs(value);
  const fraction = size >= 100 || Number.isInteger(value) ? 0 : size >= 1 ? 1 : 2;
  return value.toLocaleString('en', { maximumFractionDigits: fraction });
}

function scaled(value: number, base: number, prefixes: readonly string[]): string {
  let power = 0;
  let rest = value;
  while (Math.abs(rest) >= base && power < prefixes.length - 1) {
    rest /= base;
    power += 1;
  }
  return `${digits(rest)}${prefixes[power]}`;
}

const SI = ['', ' k', ' M', ' G'];
const BINARY = [' B', ' KiB', ' MiB', ' GiB', ' TiB'];

export function format(unit: Unit, value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NOTHING;
  switch (unit) {
    case 'count':
      return Math.abs(value) < 10_000 ? digits(value) : scaled(value, 1000, SI);
    case 'perSecond':
      return `${scaled(value, 1000, SI)}/s`;
    case 'seconds':
      return duration(value);
    case 'bytes':
      return scaled(value, 1024, BINARY);
    case 'bytesPerSecond':
      return `${scaled(value, 1024, BINARY)}/s`;
    case 'share':
      return `${digits(value * 100)} %`;
    case 'upDown':
      return upDown[value]?.name ?? digits(value);
    case 'state':
      return instanceStates[value]?.name ?? digits(value);
  }
}

/** 0, 3 ms, 1.2 s, 4m 10s, 2h 5m, 3d 4h. */
export function duration(seconds: number): string {
  const size = Math.abs(seconds);
  if (size === 0) return '0';
  if (size < 0.001) return `${digits(seconds * 1e6)} µs`;
  if (size < 1) return `${digits(seconds * 1000)} ms`;
  if (size < 60) return `${digits(seconds)} s`;
  const whole = Math.round(seconds);
  if (size < 3600) return joined(Math.floor(whole / 60), 'm', whole % 60, 's');
  if (size < 86_400) return joined(Math.floor(whole / 3600), 'h', Math.floor((whole % 3600) / 60), 'm');
  return joined(Math.floor(whole / 86_400), 'd', Math.floor((whole % 86_400) / 3600), 'h');
}

function joined(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return `${large}${largeUnit}${small > 0 ? ` ${small}${smallUnit}` : ''}`;
}

/** "15 minutes", for sentences. */
export function span(seconds: number): string {
  const [size, name] =
    seconds < 5400
      ? [seconds / 60, 'minute']
      : seconds < 172_800
        ? [seconds / 3600, 'hour']
        : [seconds / 86_400, 'day'];
  const rounded = Math.round(size);
  return rounded === 1 ? name : `${rounded} ${name}s`;
}

export function count(number: number, one: string, several = `${one}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : several}`;
}

/** "app1", "app1 and app2", "app1, app2 and app3". */
export function list(names: readonly string[]): string {
  return new Intl.ListFormat('en').format(names).replace(/, and /, ' and ');
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

/** Time of day; with the date when that is not today. */
export function timeOf(at: number, now = Date.now() / 1000): string {
  const date = new Date(at * 1000);
  const today = date.toDateString() === new Date(now * 1000).toDateString();
  return `${today ? '' : `${day.format(date)} `}${clock.format(date)}`;
}
