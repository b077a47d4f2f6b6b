/** Every message type that clients may send. To add one, write its file and list it here. */
import { chat } from './chat.ts';
import { direct } from './direct.ts';
import type { Handler } from './handler.ts';
import { joinRoom } from './join-room.ts';
import { leaveRoom } from './leave-room.ts';
import { listMembers } from './list-members.ts';
import { listRooms } from './list-rooms.ts';
import { ping } from './ping.ts';
import { refreshToken } from './refresh-token.ts';
import { typing } from './typing.ts';

// biome-ignore lint/suspicious/noExplicitAny: each handler's payload is its own schema's
export const handlers: readonly Handler<any>[] = [
  chat,
  direct,
  joinRoom,
  leaveRoom,
  listMembers,
  listRooms,
  ping,
  refreshToken,
  typing,
];
