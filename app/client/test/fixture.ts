/** What every test of the client needs: a server, a clock that stands still, and clients that end with the test. */
import { test as base } from 'vitest';
import { type Client, type ClientOptions, createClient } from '../src/client.ts';
import type { State } from '../src/link.ts';
import { createManualClock, type ManualClock } from './manual-clock.ts';
import { createScriptedServer, type Peer, type ScriptedServer } from './scripted-server.ts';

export interface Fixture {
  server: ScriptedServer;
  clock: ManualClock;
  /** A client of `server` on `clock`, with token `t0`, no rooms and `random` 0.5 unless told otherwise. */
  start(options?: Partial<ClientOptions>): Client;
  /** The same, greeted as on `app1`. */
  open(options?: Partial<ClientOptions>): Promise<{ client: Client; peer: Peer }>;
}

export const test = base.extend<Fixture>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the pattern
  server: async ({}, use) => {
    const server = await createScriptedServer();
    await use(server);
    await server.close();
  },
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the pattern
  clock: async ({}, use) => use(createManualClock()),
  start: async ({ server, clock }, use) => {
    const clients: Client[] = [];
    await use((options) => {
      const client = createClient({ url: server.url, token: 't0', rooms: [], clock, random: () => 0.5, ...options });
      clients.push(client);
      client.connect();
      return client;
    });
    for (const client of clients) void client.close();
  },
  open: async ({ server, start }, use) => {
    await use(async (options) => {
      const client = start(options);
      const peer = await server.accept();
      peer.greet();
      await reach(client, 'open');
      return { client, peer };
    });
  },
});

/** Resolves with the state once the client is in it. */
export function reach<N extends State['name']>(client: Client, name: N): Promise<Extract<State, { name: N }>> {
  return new Promise((resolve) => {
    const check = (state: State) => {
      if (state.name !== name) return;
      off();
      resolve(state as Extract<State, { name: N }>);
    };
    const off = client.on('state', check);
    check(client.state);
  });
}

/** Resolves with the arguments of the next event of a type. */
export function next<K extends Parameters<Client['on']>[0]>(client: Client, type: K): Promise<unknown[]> {
  return new Promise((resolve) => {
    const off = client.on(type, (...args: unknown[]) => {
      off();
      resolve(args);
    });
  });
}

/** A page's storage, which outlives its clients. */
export function memoryStorage() {
  const values = new Map<string, string>();
  return {
    getItem: (key: string) => values.get(key) ?? null,
    setItem: (key: string, value: string) => void values.set(key, value),
    removeItem: (key: string) => void values.delete(key),
  };
}
