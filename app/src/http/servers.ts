/** The listeners of an instance: public behind NGINX; internal for probes, Prometheus and operators; the server API. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerOptions } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { withDeadline } from '../deadline.ts';

/** Handshakes that may wait in a reconnect wave; the kernel caps it at net.core.somaxconn. Node's default is 511. */
const BACKLOG = 4096;

/** How long a closing listener waits for the requests that it is answering. */
const CLOSE_DEADLINE_MS = 1000;

const limits: ServerOptions = {
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  // How often Node enforces the two timeouts above.
  connectionsCheckingInterval: 2000,
};

export function createPublicServer(
  app: RequestListener,
  handleUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void,
): Server {
  // Any other upgrade (h2c) is ignored, and the request is answered as plain HTTP.
  const shouldUpgradeCallback = ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === 'websocket';
  return createServer({ ...limits, shouldUpgradeCallback }, app).on('upgrade', handleUpgrade);
}

export const createInternalServer = (app: RequestListener): Server => createServer(limits, app);

/** @returns the port that the server listens on */
export async function listen(server: Server, host: string, port: number): Promise<number> {
  server.listen({ host, port, backlog: BACKLOG });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Takes no more requests, and resolves when those under way are answered, or after a second. */
export async function closeWhenAnswered(server: Server): Promise<void> {
  if (!server.listening) return;
  await withDeadline(new Promise<void>((resolve) => void server.close(() => resolve())), CLOSE_DEADLINE_MS);
}
