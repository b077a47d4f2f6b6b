/**
 * Direct messages to single connections, on any instance. They are live only: nothing is stored.
 *
 * A channel for each connection would cost every connect a command of Redis. Instead a connection's id begins with the name
 * of its instance, which is asked to deliver the message.
 */
import { nanoid } from 'nanoid';
import type { Connection } from '../connection/connection.ts';
import { encodeTextFrame } from '../connection/frame.ts';
import { INSTANCE_NAME_LENGTH, type InstanceCalls } from '../instance-calls.ts';
import { ROOM_ME } from '../protocol.ts';
import { may } from './authorize.ts';
import type { Hub } from './hub.ts';

const ID_LENGTH = 20;
const ID_PATTERN = new RegExp(`^[\\w-]{${ID_LENGTH}}$`);

/** The instance of a connection; undefined when this cannot be a connection's id. */
export const instanceOf = (clientId: string): string | undefined =>
  ID_PATTERN.test(clientId) ? clientId.slice(0, INSTANCE_NAME_LENGTH) : undefined;

export interface DirectMessages {
  /** An id for a new connection of this instance. */
  newId(): string;
  /**
   * @param body the frame's JSON
   * @returns whether there is such a connection, and its token allows direct messages
   * @throws {BrokerUnavailable}
   */
  send(clientId: string, body: string): Promise<boolean>;
}

export function createDirectMessages(options: {
  calls: InstanceCalls;
  hub: Hub<Connection>;
  handleDelivered(receivers: number, frame: Buffer): void;
}): DirectMessages {
  const { calls, hub } = options;

  const deliver = calls.define('direct', ({ clientId, body }: { clientId: string; body: string }) => {
    const connection = hub.connections.get(clientId);
    if (connection?.state !== 'open' || !may(connection.user, 'join', ROOM_ME)) return false;
    const frame = encodeTextFrame(Buffer.from(body));
    connection.write(frame);
    options.handleDelivered(1, frame);
    return true;
  });

  return {
    newId: () => calls.name + nanoid(ID_LENGTH - INSTANCE_NAME_LENGTH),
    async send(clientId, body) {
      const instance = instanceOf(clientId);
      if (instance === undefined) return false;
      const [exists = false] = await deliver(instance, { clientId, body });
      return exists;
    },
  };
}
