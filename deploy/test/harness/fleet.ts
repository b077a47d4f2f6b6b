/** Clients of a test's cluster, and what its commands print. */
import { expect } from 'vitest';
import { FleetClient } from './fleet-client.ts';
import type { Output, Status, TestCluster } from './test-cluster.ts';

export interface Fleet {
  readonly clients: FleetClient[];
  /** Connects through NGINX, from so many different networks of the loopback interface. */
  connect(count: number, networks?: number): Promise<FleetClient[]>;
  /** The clients that are on this instance. */
  on(instance: string): FleetClient[];
  /** Closes all. */
  leave(): void;
}

export function createFleet(cluster: TestCluster): Fleet {
  const clients: FleetClient[] = [];
  return {
    clients,
    async connect(count, networks = count) {
      const joining = await Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const token = await cluster.token(`user${index}`);
          const localAddress = `127.0.${1 + (index % networks)}.1`;
          return new FleetClient({ url: `ws://127.0.0.1:${cluster.port}/ws`, token, localAddress });
        }),
      );
      clients.push(...joining);
      await Promise.all(joining.map((client) => client.connect()));
      return joining;
    },
    on: (instance) => clients.filter((client) => client.instanceId === instance),
    leave() {
      for (const client of clients.splice(0)) client.close();
    },
  };
}

/** Runs a target that has to succeed. */
export async function succeed(
  cluster: TestCluster,
  target: string,
  settings?: Record<string, string>,
): Promise<Output> {
  const output = await cluster.make(target, settings);
  expect(output.code, output.stdout + output.stderr).toBe(0);
  return output;
}

/** The lines of `make status`, `● app1  ready ...`, as name and state. */
export function table(output: string): Record<string, string> {
  return Object.fromEntries(
    [...output.matchAll(/^● (\S+) +(\S+)/gm)].map(([, name = '', state = '']) => [name, state]),
  );
}

export const pids = (status: Status): Record<string, number | null | undefined> =>
  Object.fromEntries([...status.instances, ...status.parts].map(({ name, pid }) => [name, pid]));
