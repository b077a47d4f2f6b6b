/** Requests under way on one connection: promises by id, each with a deadline. */
import type { Clock } from './clock.ts';
import { RequestError } from './errors.ts';
import type { ErrorPayload } from './protocol.ts';

export interface PendingRequests {
  /**
   * Resolves with the answer's payload.
   * @param heardAt when anything came last: the deadline then counts from there
   * @throws {RequestError} the refusal, TIMEOUT, or what `rejectAll` is given
   */
  wait(id: string, type: string, heardAt?: () => number): Promise<unknown>;
  has(id: string | undefined): boolean;
  resolve(id: string, payload: unknown): void;
  reject(id: string, error: ErrorPayload): void;
  rejectAll(code: 'CONNECTION_LOST' | 'CLOSED', message: string): void;
  /** Resolves when none is under way. */
  idle(): Promise<void>;
}

export function createPendingRequests({ clock, timeout }: { clock: Clock; timeout: number }): PendingRequests {
  const pending = new Map<
    string,
    { resolve(payload: unknown): void; reject(error: RequestError): void; timer: unknown }
  >();
  let idleWaiters: (() => void)[] = [];

  function take(id: string) {
    const request = pending.get(id);
    clock.clearTimeout(request?.timer);
    pending.delete(id);
    if (pending.size === 0) {
      for (const resolve of idleWaiters) resolve();
      idleWaiters = [];
    }
    return request;
  }

  return {
    wait: (id, type, heardAt) =>
      new Promise((resolve, reject) => {
        const request = { resolve, reject, timer: clock.setTimeout(expire, timeout) };
        pending.set(id, request);
        function expire() {
          const rest = heardAt ? heardAt() + timeout - clock.now() : 0;
          if (rest <= 0) {
            take(id)?.reject(new RequestError({ code: 'TIMEOUT', message: `no answer to ${type}`, uncertain: true }));
          } else {
            request.timer = clock.setTimeout(expire, rest);
          }
        }
      }),
    has: (id) => id !== undefined && pending.has(id),
    resolve: (id, payload) => take(id)?.resolve(payload),
    reject: (id, error) => take(id)?.reject(new RequestError(error)),
    rejectAll(code, message) {
      for (const id of [...pending.keys()]) take(id)?.reject(new RequestError({ code, message, uncertain: true }));
    },
    idle: () => (pending.size === 0 ? Promise.resolve() : new Promise((resolve) => void idleWaiters.push(resolve))),
  };
}
