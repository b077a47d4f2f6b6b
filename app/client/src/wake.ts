/**
 * Notices when a page wakes up: it becomes visible, is shown again from the back/forward cache, thaws, or comes online, or
 * its clock has jumped because the machine was asleep. Where there is no page (Node, workers) there is nothing to notice.
 * https://developer.chrome.com/docs/web-platform/page-lifecycle-api
 */
import type { Clock } from './clock.ts';

type Target = Pick<EventTarget, 'addEventListener' | 'removeEventListener'>;

/** The parts of a browser's `window` that are used. */
export interface Page extends Target {
  readonly document: Target & { readonly visibilityState: string };
}

export interface WakeWatch {
  start(): void;
  stop(): void;
}

/** A timer of a visible page that is this late (ms) was asleep. */
const JUMP = 5_000;
const TICK = 2_000;
/** Events come in bursts, and a network may flap. */
const MIN_INTERVAL = 1_000;

export function createWakeWatch(options: { page: Page | undefined; clock: Clock; handleWake(): void }): WakeWatch {
  const { page, clock } = options;
  if (!page) return { start() {}, stop() {} };
  const { document } = page;
  let ticker: unknown;
  let trailing: unknown;
  let wokeAt = Number.NEGATIVE_INFINITY;
  let running = false;

  /** At once, and at most once per interval: the last of a burst counts too. */
  function wake(): void {
    clock.clearTimeout(trailing);
    const wait = wokeAt + MIN_INTERVAL - clock.now();
    if (wait > 0) {
      trailing = clock.setTimeout(wake, wait);
      return;
    }
    wokeAt = clock.now();
    options.handleWake();
  }

  function handleVisibility(): void {
    if (document.visibilityState === 'visible') wake();
  }

  function tick(): void {
    const due = clock.now() + TICK;
    ticker = clock.setTimeout(() => {
      // Hidden pages have slow timers, and wake by an event.
      if (clock.now() - due > JUMP && document.visibilityState === 'visible') wake();
      if (running) tick();
    }, TICK);
  }

  return {
    start() {
      if (running) return;
      running = true;
      document.addEventListener('visibilitychange', handleVisibility);
      document.addEventListener('resume', wake);
      page.addEventListener('pageshow', wake);
      page.addEventListener('online', wake);
      tick();
    },
    stop() {
      running = false;
      document.removeEventListener('visibilitychange', handleVisibility);
      document.removeEventListener('resume', wake);
      page.removeEventListener('pageshow', wake);
      page.removeEventListener('online', wake);
      clock.clearTimeout(ticker);
      clock.clearTimeout(trailing);
    },
  };
}

/** The page that this runs in, if there is one. */
export function currentPage(): Page | undefined {
  const { window, document } = globalThis as { window?: Page; document?: unknown };
  return window && document ? window : undefined;
}
