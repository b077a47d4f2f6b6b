/** Messages that wait for their acknowledgement: sent again, with their ids, on another connection or when told to. */
import { setTimeout } from 'k6/timers';
import type { Frame, Link } from './link.ts';
import * as metrics from './metrics.ts';

interface Entry {
  id: string;
  type: string;
  payload: object;
  /** When it was to be sent, in ms since the epoch. */
  dueAt: number;
}

export interface Outbox {
  readonly size: number;
  add(entry: Entry): void;
  /** Sends what is on no connection. */
  use(link: Link): void;
  waitingOn(link: Link): number;
  /** What was on this connection has to go elsewhere. */
  lost(link: Link): void;
  /** Takes an answer. @returns whether the frame was one */
  handle(frame: Frame): boolean;
}

/** @param options.handleEmptied called when a connection owes no answer any more */
export function createOutbox(options: { handleEmptied(link: Link): void }): Outbox {
  const entries = new Map<string, Entry & { link: Link | undefined }>();

  function settle(id: string): void {
    const link = entries.get(id)?.link;
    entries.delete(id);
    if (link) options.handleEmptied(link);
  }

  return {
    get size() {
      return entries.size;
    },
    add(entry) {
      if (entry.type === 'chat') metrics.published.add(1);
      entries.set(entry.id, { ...entry, link: undefined });
    },
    use(link) {
      for (const entry of entries.values()) {
        if (!entry.link && link.send(entry.type, entry.payload, entry.id)) entry.link = link;
      }
    },
    waitingOn: (link) => [...entries.values()].filter((entry) => entry.link === link).length,
    lost(link) {
      for (const entry of entries.values()) if (entry.link === link) entry.link = undefined;
    },
    handle({ type, id = '', payload }) {
      const entry = entries.get(id);
      if (!entry) return false;
      if (type === 'ack') {
        (entry.type === 'chat' ? metrics.acknowledged : metrics.directs).add(1);
        metrics.ackLatency.add(Math.max(0, Date.now() - entry.dueAt));
        settle(id);
        return true;
      }
      if (type !== 'error') return false;
      metrics.countError(String(payload['code']));
      const retryAfter = payload['retryAfter'];
      if (typeof retryAfter !== 'number') settle(id);
      else {
        const { link } = entry;
        setTimeout(() => {
          if (link && entry.link === link && !link.send(entry.type, entry.payload, id)) entry.link = undefined;
        }, retryAfter);
      }
      return true;
    },
  };
}
