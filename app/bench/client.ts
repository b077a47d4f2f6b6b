/** The benchmarks' clients speak the protocol themselves: the kit's client would use up the CPU that is measured. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { type ServerMessageType, SUBPROTOCOL } from '../src/protocol.ts';

/** @param handle takes every frame from the first on: the greeting may come with the handshake's answer */
export async function openSocket(url: string, token: string, handle: (frame: Buffer) => void): Promise<WebSocket> {
  const socket = new WebSocket(url, SUBPROTOCOL, {
    headers: { Authorization: `Bearer ${token}` },
    perMessageDeflate: false,
  });
  socket.on('message', handle);
  await once(socket, 'open');
  // What becomes of it, `close` says.
  socket.on('error', () => undefined);
  return socket;
}

/** Whether a frame is of a type, without parsing it. */
export function frameTest(type: ServerMessageType): (frame: Buffer) => boolean {
  const beginning = Buffer.from(`{"type":"${type}"`);
  return (frame) => frame.subarray(0, beginning.length).equals(beginning);
}

/** Opens so many, a handful at a time: a listener's queue is short. */
export async function openAll<T>(count: number, open: (index: number) => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  while (all.length < count) {
    const some = Array.from({ length: Math.min(50, count - all.length) }, (_, i) => open(all.length + i));
    all.push(...(await Promise.all(some)));
  }
  return all;
}
