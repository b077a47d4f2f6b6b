/**
 * Direct messages to single connections, on any instance. They are live only: nothing is stored.
 *
 * An instance has one channel for all its connections, because a channel for each would cost every connect a command of
 * Redis. A connection's id begins with the name of its instance's channel. The instance that has the connection delivers
 * the message and answers on the channel of the instance that asked.
 */
import { nanoid } from 'nanoid';
import { type Broker, BrokerUnavailable } from '../broker/broker.ts';
import type { Connection } from '../connection/connection.ts';
import { encodeTextFrame } from '../connection/frame.ts';
import { withDeadline } from '../deadline.ts';
import { ROOM_ME } from '../protocol.ts';
import { isAllowed } from './authorize.ts';
import type { Hub } from './hub.ts';

const CHANNEL_PREFIX = '@instance:';
const [INSTANCE_LENGTH, ID_LENGTH] = [8, 20];
const ID_PATTERN = new RegExp(`^[\\w-]{${ID_LENGTH}}$`);
const ANSWER_DEADLINE_MS = 1000;

export interface DirectMessages {
  /** The channel of this instance. */
  readonly channel: string;
  /** An id for a new connection of this instance. */
  newId(): string;
  /**
   * @param body the frame's JSON
   * @returns whether there is such a connection, and its token allows direct messages
   * @throws {BrokerUnavailable}
   */
  send(clientId: string, body: string): Promise<boolean>;
  /** Takes what arrives on the channel. */
  handleAnnouncement(body: Buffer): void;
}

export function createDirectMessages(options: {
  broker: Broker;
  hub: Hub<Connection>;
  handleDelivered(receivers: number, frame: Buffer): void;
}): DirectMessages {
  const { broker, hub } = options;
  const self = nanoid(INSTANCE_LENGTH);
  /** Questions that wait for their answer: whether the connection exists. */
  const asked = new Map<string, (exists: boolean) => void>();
  let questions = 0;

  function deliver(clientId: string, body: Buffer): boolean {
    const connection = hub.connections.get(clientId);
    if (connection?.state !== 'open' || !isAllowed(connection.user.rooms, ROOM_ME)) return false;
    const frame = encodeTextFrame(body);
    connection.write(frame);
    options.handleDelivered(1, frame);
    return true;
  }

  const channel = CHANNEL_PREFIX + self;
  void broker.subscribe(channel);

  return {
    channel,
    newId: () => self + nanoid(ID_LENGTH - INSTANCE_LENGTH),

    async send(clientId, body) {
      if (!ID_PATTERN.test(clientId)) return false;
      questions += 1;
      const question = String(questions);
      const { promise, resolve } = Promise.withResolvers<boolean>();
      asked.set(question, resolve);
      try {
        const instance = CHANNEL_PREFIX + clientId.slice(0, INSTANCE_LENGTH);
        const receivers = await broker.announce(instance, `to ${clientId} ${self} ${question}\n${body}`);
        if (receivers === 0) return false;
        const answer = await withDeadline(promise, ANSWER_DEADLINE_MS);
        if (!answer) throw new BrokerUnavailable({ uncertain: true });
        return answer.value;
      } finally {
        asked.delete(question);
      }
    },

    handleAnnouncement(body) {
      const end = body.indexOf('\n');
      const [kind, ...head] = body.toString('latin1', 0, end).split(' ');
      if (kind === 'to') {
        const [clientId = '', instance = '', question = ''] = head;
        const exists = deliver(clientId, body.subarray(end + 1));
        // The sender is told that the outcome is unknown when the answer does not arrive.
        broker.announce(CHANNEL_PREFIX + instance, `answer ${question} ${exists}\n`).catch(() => undefined);
      } else {
        const [question = '', exists] = head;
        asked.get(question)?.(exists === 'true');
      }
    },
  };
}
