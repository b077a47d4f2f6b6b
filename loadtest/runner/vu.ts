/**
 * A virtual user as k6 has them: a copy of the script of its own, an event loop's worth of handles (sockets, timers), and
 * iterations that end with the last handle. All of a process share Node's one loop.
 */
import type { Store } from './store.ts';

export interface Vu {
  readonly id: number;
  readonly scenario: string;
  /** Number of the running iteration in its scenario; -1 while the script is read. */
  iteration: number;
  readonly localAddress: string | undefined;
  readonly store: Store;
  /** While the script is read metrics are made, and nothing else. */
  readonly initializing: boolean;
  /** Notes something that keeps the iteration going; `cancel` ends it when the iteration is cut short. */
  hold(cancel: () => void): Handle;
  /** A callback for outside events: runs while the iteration does; what it throws ends that. */
  callback<A extends unknown[]>(fn: (...args: A) => void): (...args: A) => void;
  /** Runs one iteration. Never rejects. */
  run(iteration: number, fn: () => unknown): Promise<Outcome>;
  /** Ends the iteration under way. */
  interrupt(): void;
}

export interface Handle {
  release(): void;
}

/** `failed`: it threw. `interrupted`: it was cut short by the end of its time. */
export type Outcome = { state: 'completed' } | { state: 'failed'; error: unknown } | { state: 'interrupted' };

const vus = new Map<string, Vu>();

/** The virtual user whose copy of the script a module belongs to. */
export function vuOf(moduleUrl: string): Vu {
  const vu = vus.get(new URL(moduleUrl).searchParams.get('vu') ?? '');
  if (!vu) throw new Error('k6 modules are imported by scripts only');
  return vu;
}

/** @param scriptUrl without a query; @returns the URL that makes a copy of it for this virtual user */
export const urlFor = (vu: Vu, scriptUrl: string): string => `${scriptUrl}?vu=${vu.id}`;

export function createVu(options: {
  id: number;
  scenario: string;
  localAddress?: string | undefined;
  store: Store;
}): Vu {
  const handles = new Map<Handle, () => void>();
  let finish: ((outcome: Outcome) => void) | undefined;
  let returned = false;
  let iteration = -1;

  function end(outcome: Outcome): void {
    const done = finish;
    finish = undefined;
    for (const cancel of handles.values()) cancel();
    handles.clear();
    done?.(outcome);
  }
  function endWhenIdle(): void {
    if (returned && handles.size === 0) end({ state: 'completed' });
  }

  const vu: Vu = {
    ...options,
    localAddress: options.localAddress,
    get iteration() {
      return iteration;
    },
    get initializing() {
      return iteration < 0;
    },
    hold(cancel) {
      const handle = {
        release() {
          // What the released handle leads to may take new ones first.
          if (handles.delete(handle)) queueMicrotask(endWhenIdle);
        },
      };
      handles.set(handle, cancel);
      return handle;
    },
    callback:
      (fn) =>
      (...args) => {
        if (!finish) return;
        try {
          fn(...args);
        } catch (error) {
          end({ state: 'failed', error });
        }
      },
    run(number, fn) {
      iteration = number;
      returned = false;
      return new Promise((resolve) => {
        finish = resolve;
        void (async () => fn())().then(
          () => {
            returned = true;
            endWhenIdle();
          },
          (error: unknown) => end({ state: 'failed', error }),
        );
      });
    },
    interrupt: () => end({ state: 'interrupted' }),
  };
  vus.set(String(options.id), vu);
  return vu;
}
