import type { ServerMessageType } from '../src/protocol.ts';

/** How a client says something to a server, and how it recognizes the answer without parsing it. */
export interface Dialect {
  /** Path and query of the WebSocket. The token is in the handshake's headers. */
  path: string;
  /** What the client sends first, if anything. */
  hello?(token: string): string;
  join(room: string): string;
  chat(room: string, content: string): string;
  isGreeting(frame: Buffer): boolean;
  isJoined(frame: Buffer): boolean;
  isMessage(frame: Buffer): boolean;
  isAck(frame: Buffer): boolean;
  isError(frame: Buffer): boolean;
}

function startsWith(text: string): (frame: Buffer) => boolean {
  const beginning = Buffer.from(text);
  return (frame) => frame.compare(beginning, 0, beginning.length, 0, Math.min(beginning.length, frame.length)) === 0;
}

/** Whether a frame of the kit's protocol is of a type. */
export const ofType = (type: ServerMessageType): ((frame: Buffer) => boolean) => startsWith(`{"type":"${type}"`);

/** The kit's protocol, which peers may speak too. */
export const kitDialect: Dialect = {
  path: '/ws',
  join: (room) => JSON.stringify({ type: 'join_room', payload: { room } }),
  chat: (room, content) => JSON.stringify({ type: 'chat', payload: { room, content } }),
  isGreeting: ofType('authenticated'),
  isJoined: ofType('joined_room'),
  isMessage: ofType('message'),
  isAck: ofType('ack'),
  isError: ofType('error'),
};

/** Engine.IO 4 and Socket.IO 5: 40 connects, 42 is an event, its number asks for an answer, which 43 is. */
export const socketIoDialect: Dialect = {
  path: '/socket.io/?EIO=4&transport=websocket',
  hello: (token) => `40${JSON.stringify({ token })}`,
  join: (room) => `420${JSON.stringify(['join_room', room])}`,
  chat: (room, content) => `421${JSON.stringify(['chat', room, content])}`,
  isGreeting: startsWith('40'),
  isJoined: startsWith('430'),
  isMessage: startsWith('42["message"'),
  isAck: startsWith('431'),
  isError: startsWith('44'),
};
