/** `k6/timers`: a timer keeps its iteration going. */
import { type Handle, vuOf } from '../vu.ts';

const vu = vuOf(import.meta.url);
const timers = new Map<number, () => void>();
let lastId = 0;

function start(repeat: boolean, fn: (...args: unknown[]) => void, delay: number, args: unknown[]): number {
  if (vu.initializing) throw new Error('timers are not available in the init context');
  lastId += 1;
  const id = lastId;
  const run = vu.callback(fn);
  const wait = Math.max(0, Number(delay) || 0);
  let handle: Handle;
  const timer = repeat
    ? setInterval(() => run(...args), wait)
    : setTimeout(() => {
        timers.delete(id);
        run(...args);
        handle.release();
      }, wait);
  const cancel = () => {
    timers.delete(id);
    clearTimeout(timer);
  };
  handle = vu.hold(cancel);
  timers.set(id, () => {
    cancel();
    handle.release();
  });
  return id;
}

const startTimeout = (fn: (...args: unknown[]) => void, delay: number, ...args: unknown[]) =>
  start(false, fn, delay, args);
const startInterval = (fn: (...args: unknown[]) => void, delay: number, ...args: unknown[]) =>
  start(true, fn, delay, args);
const stop = (id: number): void => timers.get(id)?.();

export { startInterval as setInterval, startTimeout as setTimeout, stop as clearInterval, stop as clearTimeout };
