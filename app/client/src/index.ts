export { type Client, type ClientEvents, type ClientOptions, createClient } from './client.ts';
export type { Clock } from './clock.ts';
export { type Comeback, comebackAfter } from './close-codes.ts';
export { type LocalErrorCode, RequestError } from './errors.ts';
export type { State } from './link.ts';
export type { ClientStorage } from './memory.ts';
export {
  type Answer,
  type ErrorCode,
  type Member,
  type Position,
  type Recipient,
  type Requests,
  type RequestType,
  ROOM_ALL,
  ROOM_ME,
  type Sender,
  type ServerMessages,
  SUBPROTOCOL,
} from './protocol.ts';
export type { Socket, SocketConstructor } from './socket.ts';
export type { TokenProvider } from './token.ts';
