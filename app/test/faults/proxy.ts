/** A TCP proxy on loopback that can do what networks do: cut, stay silent, stall one direction, lose what it carries. */
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';

/** `up`: toward the server. `down`: toward the client. */
export type Direction = 'up' | 'down';

export interface Link {
  /** The port that the server sees it come from. */
  readonly port: number;
  /** Carries nothing that way, and stays open. */
  stall(...directions: Direction[]): void;
  flow(): void;
  /** What comes down goes through `filter`, which gives what is passed on. */
  filter(filter: (chunk: Buffer) => Buffer): void;
  /** Resets both ends. */
  cut(): void;
}

export interface NetworkProxy extends AsyncDisposable {
  readonly port: number;
  /** Where new links go. */
  upstream: number;
  readonly links: ReadonlySet<Link>;
  /** All links and all to come carry nothing, as if the network was gone without a word; undone by `flow`. */
  silence(): void;
  flow(): void;
  /** Resets all links; new ones are taken. */
  cut(): void;
}

/** One direction of a link. */
function createLane(from: Socket, to: Socket) {
  let stalled = false;
  let filter = (chunk: Buffer): Buffer => chunk;
  from.on('data', (chunk: Buffer) => {
    if (!to.write(filter(chunk))) from.pause();
  });
  to.on('drain', () => stalled || from.resume());
  from.on('end', () => to.end());
  return {
    stall() {
      stalled = true;
      from.pause();
    },
    flow() {
      stalled = false;
      from.resume();
    },
    filter(next: typeof filter) {
      filter = next;
    },
    get stalled() {
      return stalled;
    },
  };
}

/** @param port 0 for a free one */
export async function startProxy(options: { upstream: number; port?: number }): Promise<NetworkProxy> {
  const links = new Set<Link>();
  let silent = false;

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = createConnection({
      host: '127.0.0.1',
      port: proxy.upstream,
      // NGINX hashes addresses: clients keep theirs through the proxy.
      ...(client.remoteAddress && { localAddress: client.remoteAddress }),
      allowHalfOpen: true,
      noDelay: true,
    });
    const lanes = { up: createLane(client, upstream), down: createLane(upstream, client) };
    const link: Link = {
      get port() {
        return upstream.localPort ?? 0;
      },
      stall: (...directions) => {
        for (const direction of directions) lanes[direction].stall();
      },
      flow() {
        for (const lane of [lanes.up, lanes.down]) lane.flow();
        // A side that ended meanwhile only learns of it now.
        if (client.destroyed || upstream.destroyed) link.cut();
      },
      filter: lanes.down.filter,
      cut() {
        links.delete(link);
        for (const socket of [client, upstream]) socket.resetAndDestroy();
      },
    };
    links.add(link);
    for (const socket of [client, upstream]) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        if (!lanes.up.stalled || !lanes.down.stalled) link.cut();
      });
    }
    if (silent) link.stall('up', 'down');
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');

  const proxy: NetworkProxy = {
    port: address.port,
    upstream: options.upstream,
    links,
    silence() {
      silent = true;
      for (const link of links) link.stall('up', 'down');
    },
    flow() {
      silent = false;
      for (const link of [...links]) link.flow();
    },
    cut() {
      for (const link of [...links]) link.cut();
    },
    async [Symbol.asyncDispose]() {
      server.close();
      proxy.cut();
    },
  };
  return proxy;
}
