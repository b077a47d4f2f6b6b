/** One client of the fleet: the kit's own, with an account of all that reached it and when. */
import { WebSocket } from 'ws';
import { type Client, type ClientOptions, createClient } from '../../client/src/index.ts';
import type { GapReason, Position } from '../../src/protocol.ts';
import { createLedger, type Ledger } from '../../tools/lib/ledger.ts';
import { tokenFor } from '../harness/tokens.ts';

/** The content of a message: its publisher's count, and when it was sent. */
export interface Delivery {
  channel: string;
  publisher: string;
  number: number;
  sentAt: number;
  position: Position;
}

/** How handshakes went, over all members. */
export interface Handshakes {
  /** Answered with something else than 101. */
  refused: number;
  /** Not answered. */
  failed: number;
}

/** Time after a switch that still belongs to the move, in ms. */
const MOVE_TAIL_MS = 200;

export class Member {
  readonly name: string;
  readonly userId: string;
  readonly client: Client;
  /** By channel and publisher. */
  readonly ledgers = new Map<string, Ledger>();
  /** What the server said of breaks: `gap` and `rewound`, and on joining; `held` is the last offset that had come. */
  readonly told: { room: string; reason: GapReason; position: Position; held: number }[] = [];
  /** How each join went on. */
  readonly joins: { room: string; recovery: string; position: Position }[] = [];
  /**
   * Longest silence beyond the publishers' pace in each move, in ms: from the opening of the next connection until a
   * little after the switch.
   */
  readonly gaps: number[] = [];
  /** Close codes of connections that ended. */
  readonly closeCodes: number[] = [];
  /** When it was last open again (performance.now()). */
  backAt = 0;
  /** When a message that was sent before `backAt` last came. */
  caughtUpAt = 0;
  /** By channel and offset: what it holds, where a scenario asks for it. */
  readonly views: Map<string, Map<number, string>> | undefined;
  /** The newest socket; the one before it may still be open. */
  socket: WebSocket | undefined;

  /** The last offset that came, by channel. */
  readonly #offsets = new Map<string, number>();
  readonly #handleDelivery: (member: Member, delivery: Delivery) => void;
  #last: { at: number; sentAt: number } | undefined;
  #move: { gap: number | undefined; until: number } | undefined;

  constructor(options: {
    name: string;
    url: string;
    rooms: readonly string[];
    localAddress?: string;
    /** For an NGINX that believes it, where addresses are not ours to choose. */
    forwardedFor?: string;
    handshakes: Handshakes;
    client: Partial<ClientOptions>;
    keepViews: boolean;
    handleDelivery(member: Member, delivery: Delivery): void;
  }) {
    this.name = options.name;
    this.userId = `u-${options.name}`;
    this.views = options.keepViews ? new Map() : undefined;
    this.#handleDelivery = options.handleDelivery;
    const { handshakes, localAddress, forwardedFor } = options;
    const handleSocket = (socket: WebSocket) => {
      this.socket = socket;
      // Make before break: the one before is still there.
      if (this.instanceId === undefined) return;
      this.#endMove();
      this.#move = { gap: undefined, until: Infinity };
    };
    this.client = createClient({
      url: options.url,
      token: tokenFor(options.name),
      rooms: options.rooms,
      ...options.client,
      WebSocket: class extends WebSocket {
        constructor(url: string, protocols: string[]) {
          super(url, protocols, {
            perMessageDeflate: false,
            ...(localAddress && { localAddress }),
            ...(forwardedFor && { headers: { 'X-Forwarded-For': forwardedFor } }),
          });
          let open = false;
          this.on('open', () => {
            open = true;
          });
          this.on('unexpected-response', (request) => {
            handshakes.refused += 1;
            open = true;
            request.destroy();
          });
          this.on('error', () => {
            if (!open) handshakes.failed += 1;
          });
          handleSocket(this);
        }
      } as unknown as NonNullable<ClientOptions['WebSocket']>,
    });
    this.#listen();
  }

  /** When the last message that came was sent. */
  get lastSentAt(): number {
    return this.#last?.sentAt ?? 0;
  }

  /** The instance that it is on. */
  get instanceId(): string | undefined {
    return this.client.state.name === 'open' ? this.client.state.instanceId : undefined;
  }

  #listen(): void {
    const { client } = this;
    client.on('message', ({ room, from, position, ...message }) => {
      const content = String(message.content);
      const [number = 0, sentAt = 0] = content.split(' ', 2).map(Number);
      if (position) this.view(room)?.set(position.offset, `${from.userId} ${content}`);
      this.#handle({ channel: room, publisher: from.userId, number, sentAt, position: position as Position });
    });
    client.on('joined_room', ({ room, recovery, position }) => void this.joins.push({ room, recovery, position }));
    client.on('gap', ({ room, reason, position }) => this.#handleBroken(room, reason, position));
    client.on('rewound', ({ room, position }) => this.#handleBroken(room, 'rewound', position));
    client.on('state', (state) => {
      if (state.name === 'waiting') this.closeCodes.push(state.code);
      if (state.name !== 'open') return;
      this.backAt = performance.now();
      if (this.#move) this.#move.until = this.backAt + MOVE_TAIL_MS;
    });
  }

  /** What it held after `position` is not the room's history any more. */
  #handleBroken(room: string, reason: GapReason, position: Position): void {
    this.told.push({ room, reason, position, held: this.#offsets.get(room) ?? 0 });
    const view = this.view(room);
    for (const offset of view?.keys() ?? []) {
      if (offset > position.offset || reason === 'unknown_epoch') view?.delete(offset);
    }
  }

  view(channel: string): Map<number, string> | undefined {
    if (this.views && !this.views.has(channel)) this.views.set(channel, new Map());
    return this.views?.get(channel);
  }

  #handle(delivery: Delivery): void {
    const now = performance.now();
    const { sentAt } = delivery;
    const before = this.#last;
    this.#last = { at: now, sentAt };
    this.#offsets.set(delivery.channel, delivery.position.offset);
    // A silence that began within the move belongs to it, however late it ends.
    if (this.#move && before && before.at <= this.#move.until) {
      const pace = Math.max(0, sentAt - before.sentAt);
      this.#move.gap = Math.max(this.#move.gap ?? 0, now - before.at - pace);
    }
    if (this.#move && now > this.#move.until) this.#endMove();
    if (sentAt < this.backAt) this.caughtUpAt = now;
    this.ledger(delivery.channel, delivery.publisher).take(delivery.number);
    this.#handleDelivery(this, delivery);
  }

  #endMove(): void {
    if (this.#move?.gap !== undefined) this.gaps.push(this.#move.gap);
    this.#move = undefined;
  }

  /** Whether it was told that what stands at this offset is beyond the retention. */
  wasTold(channel: string, offset = 0): boolean {
    return this.told.some(
      ({ room, reason, held, position }) =>
        room === channel && reason === 'trimmed' && held < offset && offset <= position.offset,
    );
  }

  ledger(channel: string, publisher: string): Ledger {
    const key = `${channel} ${publisher}`;
    let ledger = this.ledgers.get(key);
    if (!ledger) {
      ledger = createLedger();
      this.ledgers.set(key, ledger);
    }
    return ledger;
  }

  async close(): Promise<void> {
    this.#endMove();
    await this.client.close();
    this.socket?.terminate();
  }
}
