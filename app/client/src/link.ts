/**
 * Keeps one connection to the cluster open, and moves it when its instance is restarted.
 *
 * `current` is the connection that the application speaks on; `next` is being opened, either because there is no current
 * one or because the current instance is draining (make before break). The state follows from these two and
 * the timer.
 */
import type { Backoff } from './backoff.ts';
import type { Clock } from './clock.ts';
import type { Connection, Ending } from './connection.ts';

/** What the link is doing. `failures` are attempts and connections that ended since the last one that lasted. */
export type State =
  | { name: 'idle' }
  | { name: 'connecting'; failures: number }
  | { name: 'open'; clientId: string; instanceId: string; reconnects: number }
  /** The connection ended with `code`; the next attempt comes at `retryAt` (ms since the epoch). */
  | { name: 'waiting'; failures: number; retryAt: number; code: number; reason: string }
  | { name: 'closed'; code: number; reason: string };

export interface LinkOptions {
  clock: Clock;
  backoff: Backoff;
  /** Milliseconds after which a connection counts as one that lasted. */
  stableAfter: number;
  /** Starts a connection, which calls `handleConnected` and `handleEnd` of this link, never before it is returned. */
  createConnection(): Connection;
  /** Whether another attempt after 4001 would bring another token. */
  canRenewToken(): boolean;
  /** Joins the rooms on a new connection; resolves when it can take over. Must not reject. */
  prepare(connection: Connection): Promise<void>;
  handleState(state: State): void;
}

export interface Link {
  readonly state: State;
  readonly current: Connection | undefined;
  /** Connections that are open: the current one, and while moving the next one. */
  readonly open: readonly Connection[];
  connect(): void;
  /** Does not wait for the next attempt's time. */
  retry(): void;
  /** After a sleep: tries at once, and asks open connections for a sign of life with a short deadline. */
  wake(): void;
  /** Ends all there is. Resolves when the sockets are closed. */
  close(): Promise<void>;
  handleConnected(connection: Connection): void;
  /** The connection's instance has said when it wants to be left. */
  handleSlot(connection: Connection): void;
  handleEnd(connection: Connection, ending: Ending): void;
}

/** What a connection gets to prove that it survived a sleep, or to be opened after one. */
const WAKE_DEADLINE = 3_000;
/** A connection of this age (ms) keeps its slot exactly. */
const SETTLED = 1_000;

export function createLink(options: LinkOptions): Link {
  const { clock, backoff } = options;
  let running = false;
  let current: Connection | undefined;
  let next: Connection | undefined;
  /** Replaced by `current`; answers may still come. */
  const leaving = new Set<Connection>();
  /** For the next attempt, or for the slot at which `current` is to be left. */
  let timer: unknown;
  let retryAt: number | undefined;
  let opened = 0;
  let last = { code: 1006, reason: '' };
  let state: State = { name: 'idle' };

  function update(): void {
    const derived = derive();
    if (JSON.stringify(derived) === JSON.stringify(state)) return;
    state = derived;
    options.handleState(state);
  }

  function derive(): State {
    if (current?.connected) {
      const { clientId, instanceId } = current.connected;
      return { name: 'open', clientId, instanceId, reconnects: opened - 1 };
    }
    const failures = backoff.attempts;
    if (next) return { name: 'connecting', failures };
    if (retryAt !== undefined) return { name: 'waiting', failures, retryAt, ...last };
    return { name: 'closed', ...last };
  }

  function attempt(): void {
    cancelTimer();
    next = options.createConnection();
    update();
  }

  function schedule(delay: number): void {
    cancelTimer();
    retryAt = clock.now() + delay;
    timer = clock.setTimeout(attempt, delay);
  }

  function cancelTimer(): void {
    clock.clearTimeout(timer);
    retryAt = undefined;
  }

  /** The next connection takes over. */
  function promote(): void {
    const old = current;
    current = next;
    next = undefined;
    if (old) {
      leaving.add(old);
      void old.idle().then(() => old.close());
    }
    if (current) handleSlot(current);
    update();
  }

  function handleSlot(connection: Connection): void {
    if (connection === current && connection.slotAt !== undefined && !next) schedule(untilSlot(connection));
  }

  /** Whoever has only just come backs off too: a cluster that sends everyone away at once is not run in circles. */
  function untilSlot(connection: Connection): number {
    resetIfLasted(connection);
    const slot = (connection.slotAt ?? 0) - clock.now();
    return Math.max(0, slot, ageOf(connection) < SETTLED ? backoff.next() : 0);
  }

  function resetIfLasted(connection: Connection): boolean {
    const lasted = ageOf(connection) >= options.stableAfter;
    if (lasted) backoff.reset();
    return lasted;
  }

  /** Milliseconds since the server's greeting. */
  function ageOf({ connected }: Connection): number {
    return connected ? clock.now() - connected.at : 0;
  }

  function delayAfter(connection: Connection, ending: Ending): number {
    if (connection.slotAt !== undefined) return untilSlot(connection);
    return resetIfLasted(connection) && ending.comeback === 'new-token' ? 0 : backoff.next();
  }

  function retry(): void {
    if (running && !current && !next) attempt();
  }

  async function stop(): Promise<void> {
    running = false;
    cancelTimer();
    const ending = [current, next, ...leaving].map((connection) => connection?.close());
    current = undefined;
    next = undefined;
    update();
    await Promise.all(ending);
  }

  return {
    get state() {
      return state;
    },
    get current() {
      return current;
    },
    get open() {
      return [current, next].filter((connection) => connection?.connected !== undefined) as Connection[];
    },
    connect() {
      if (running) return;
      running = true;
      opened = 0;
      backoff.reset();
      attempt();
    },
    retry,
    wake() {
      backoff.hurry();
      retry();
      for (const connection of [current, next]) connection?.check(WAKE_DEADLINE);
    },
    close() {
      last = { code: 1000, reason: 'done' };
      return stop();
    },
    handleConnected(connection) {
      opened += 1;
      const prepared = options.prepare(connection);
      if (!current) promote();
      // The current connection serves until the next one is in every room, or until it ends.
      else void prepared.then(() => connection === next && promote());
    },
    handleSlot,
    handleEnd(connection, ending) {
      if (leaving.delete(connection) || !running) return;
      const lost = ending.comeback === 'never' || (ending.comeback === 'new-token' && !options.canRenewToken());
      if (connection === next) {
        next = undefined;
        // The current connection serves on. What speaks against a next one will be said again when there is none.
        if (current) {
          if (!lost) schedule(backoff.next());
          return;
        }
      } else {
        current = undefined;
      }
      last = { code: ending.code, reason: ending.reason };
      if (lost) {
        void stop();
      } else if (next?.connected) {
        promote();
      } else {
        if (!next) schedule(delayAfter(connection, ending));
        update();
      }
    },
  };
}
