/** Requests of a script's part, each with the answer that it expects: counted as proved, or as failed. */
import type { Client } from './client.ts';
import type { Frame } from './link.ts';
import { failed, proved } from './metrics.ts';

export interface Asking {
  /** Sends one request. @param holds of the answer, which has to be of this type */
  ask(type: string, payload: object, answer: string, holds?: (payload: Frame['payload']) => boolean): void;
  /** Requests without an answer yet. */
  readonly open: number;
  handleFrame(frame: Frame): void;
}

export function createAsking(client: Client): Asking {
  const waiting = new Map<string, { answer: string; holds: (payload: Frame['payload']) => boolean }>();
  let count = 0;
  return {
    get open() {
      return waiting.size;
    },
    ask(type, payload, answer, holds = () => true) {
      count += 1;
      const id = `ask-${count}`;
      if (client.send(type, payload, id)) waiting.set(id, { answer, holds });
      else failed.add(1);
    },
    handleFrame({ id = '', type, payload }) {
      const wanted = waiting.get(id);
      if (!wanted) return;
      waiting.delete(id);
      (type === wanted.answer && wanted.holds(payload) ? proved : failed).add(1);
    },
  };
}
