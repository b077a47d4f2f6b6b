/** A simple model of a room in Redis, for property tests: what broker/*.lua promise, without Redis. */
import type { Page } from '../../src/broker/broker.ts';
import { encodeOpenMessage, type Position } from '../../src/protocol.ts';

const sender = { userId: 'u', username: 'u', clientId: 'c', instanceId: 'i' };

/** A room `r` as Redis keeps it. `deliveries` are the live messages that are still under way. */
export class ModelRoom {
  /** '0' without history. */
  epoch = '0';
  start = 0;
  past: [epoch: string, last: number][] = [];
  /** content by offset - 1; what was rolled back is gone. */
  contents: string[] = [];
  /** Entries up to this offset are no longer kept. */
  trimmed = 0;
  deliveries: { position: Position; body: Buffer }[] = [];
  count = 0;

  publish(): void {
    const content = `m${this.count++}`;
    if (this.epoch === '0') this.epoch = `e${this.count}`;
    this.contents.push(content);
    this.deliveries.push({ position: this.head, body: this.#body(content) });
  }

  rollBack(lost: number): void {
    if (this.epoch === '0') return;
    this.past.push([this.epoch, Math.max(0, this.contents.length - lost)]);
    this.contents = this.contents.slice(0, Math.max(0, this.contents.length - lost));
    this.trimmed = Math.min(this.trimmed, this.contents.length);
    this.epoch = `e${++this.count}`;
    this.start = this.contents.length;
    // A rollback that reaches past an epoch's own start takes that epoch's later part with it.
    this.past = this.past.map(([epoch, last]) => [epoch, Math.min(last, this.contents.length)]);
  }

  flush(): void {
    this.contents = [];
    this.trimmed = 0;
    this.past = [];
    this.start = 0;
    this.epoch = '0';
  }

  get head(): Position {
    return { epoch: this.epoch, offset: this.contents.length };
  }

  /** Only what is after `offset` is kept. */
  trimTo(offset: number): void {
    this.trimmed = Math.max(this.trimmed, Math.min(offset, this.contents.length));
  }

  resume(position: Position | undefined, limit: number): Page {
    let recovery: Page['recovery'] = 'recovered';
    let reason: Page['reason'];
    let from = this.contents.length;
    if (position) {
      const last =
        position.epoch === this.epoch ? Infinity : this.past.find(([epoch]) => epoch === position.epoch)?.[1];
      if (position.epoch === '0') {
        if (position.offset === 0) from = 0;
        else [recovery, reason] = ['gap', 'invalid'];
      } else if (last === undefined) [recovery, reason, from] = ['gap', 'unknown_epoch', this.start];
      else if (last === Infinity && position.offset > this.contents.length) [recovery, reason] = ['gap', 'invalid'];
      else if (position.offset > last) [recovery, from] = ['rewound', last];
      else from = position.offset;
    }
    if (from < this.trimmed) [recovery, reason, from] = ['gap', reason ?? 'trimmed', this.trimmed];
    const entries = this.contents
      .map((content, index) => ({ offset: index + 1, body: this.#body(content) }))
      .slice(from, from + limit);
    return {
      recovery,
      ...(reason && { reason }),
      from: { epoch: this.epoch, offset: from },
      entries,
      head: this.head,
    };
  }

  #body(content: string): Buffer {
    return Buffer.from(encodeOpenMessage({ room: 'r', from: sender, content }));
  }
}
