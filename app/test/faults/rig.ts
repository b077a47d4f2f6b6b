/**
 * A cluster to break: a real Redis that keeps what it acknowledged, a real NGINX with the kit's own configuration, and
 * three instances. Everything is on loopback, and keeps its port when it restarts.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { writeNginx } from '../../../deploy/cluster/drivers/native/configuration.ts';
import { createServices } from '../../../deploy/cluster/drivers/native/services.ts';
import { loadSettings } from '../../../deploy/cluster/drivers/native/settings.ts';
import { freePorts, until } from '../../../deploy/test/harness/test-cluster.ts';
import { type App, startApp } from '../harness/app.ts';
import { type Exit, killGroup, type Running, run } from '../harness/process.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';
import { type Link, type NetworkProxy, startProxy } from './proxy.ts';

const root = resolve(import.meta.dirname, '../../..');
const INSTANCES = 3;
const READY_MS = 20_000;

export interface RigOptions {
  /** Puts a proxy between the instances and Redis. */
  redisProxy?: boolean;
  /** Settings of the instances that a scenario needs. */
  env?: Readonly<Record<string, string>>;
}

/** What any cluster has that can be broken, in processes or in containers. */
export interface Cluster {
  /** NGINX's public listener. */
  readonly url: string;
  readonly instances: readonly { readonly id: string; start(): Promise<void>; kill(): Promise<void> }[];
  readonly nginx: RigNginx;
  /** One instance after the other, as a deploy does it. */
  roll(): Promise<void>;
  /** Everything runs and is ready again. */
  healthy(): Promise<void>;
}

/** One instance, always on its own ports. */
export interface RigInstance {
  readonly id: string;
  readonly app: App;
  readonly running: boolean;
  start(): Promise<void>;
  /** SIGTERM, and how it ended. */
  stop(): Promise<Exit>;
  kill(): Promise<void>;
}

export interface RigNginx {
  start(): Promise<void>;
  /** SIGTERM or SIGKILL to master and workers. */
  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

export interface Rig extends Cluster, AsyncDisposable {
  /** NGINX through `edge`, the network between some clients and NGINX. */
  readonly edgeUrl: string;
  readonly edge: NetworkProxy;
  readonly redis: RedisServer;
  readonly redisProxy: NetworkProxy;
  readonly instances: readonly RigInstance[];
  /** Another Redis on a port of the rig's. */
  startReplica(args: readonly string[]): Promise<RedisServer>;
  /** The Redis connections of instances in one role, as Redis and the proxy know them. */
  redisLinks(role: 'subscriber' | 'commands'): Promise<{ id: string; instance: string; link: Link | undefined }[]>;
}

/** Quick where waiting proves nothing, and no limit in the way of the traffic. */
const appEnv = {
  BROKER: 'redis',
  DRAIN_WINDOW: '10s',
  DRAIN_GRACE: '3s',
  SHUTDOWN_DEADLINE: '20s',
  HEARTBEAT_INTERVAL: '4s',
  HEARTBEAT_TIMEOUT: '2s',
  PRESENCE_GRACE: '10s',
  MAX_CONNECTIONS_PER_ADDRESS: '1000000',
  RATE_LIMIT_PER_MINUTE: '1000000',
  RATE_LIMIT_BURST: '100000',
};

const keepsEverything = [
  '--appendonly',
  'yes',
  '--include',
  join(root, 'deploy/redis/redis.conf'),
  '--appendfsync',
  'always',
];

export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const stack = new AsyncDisposableStack();
  try {
    return await build(options, stack);
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

async function build(options: RigOptions, stack: AsyncDisposableStack): Promise<Rig> {
  const dir = await mkdtemp(join(tmpdir(), 'wsfleet-faults-'));
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  const base = await freePorts();
  const settings = loadSettings(root, {
    APP_SETTINGS: 'JWT_SECRET',
    CLUSTER_DIR: dir,
    INSTANCES: String(INSTANCES),
    NATIVE_PORT_BASE: String(base),
    PUBLIC_BIND: '127.0.0.1',
    PUBLIC_PORT: String(base + 101),
    TLS_PORT: String(base + 102),
    // Nothing listens on these.
    PROMETHEUS_PORT: String(base + 103),
    ALERTMANAGER_PORT: String(base + 93),
    ALERT_WEBHOOKS: 'none',
    STICKY_MODE: 'ip_hash',
    HANDSHAKE_RATE: '99999',
    HANDSHAKE_BURST: '99999',
    STOP_GRACE: '30',
  });
  const redis = stack.use(await startRedis({ port: settings.redisPort, args: keepsEverything }));
  const redisProxy = stack.use(await startProxy({ upstream: redis.port, port: base + 20 }));
  const edge = stack.use(await startProxy({ upstream: settings.publicPort, port: base + 22 }));
  const redisUrl = options.redisProxy ? `redis://127.0.0.1:${redisProxy.port}` : redis.url;

  writeNginx(settings, INSTANCES);
  const part = createServices(settings, INSTANCES).find(({ name }) => name === 'nginx');
  if (!part) throw new Error('the native driver has no nginx');
  const { program, args, cwd, env } = part.command();
  let nginx: Running | undefined;
  stack.defer(async () => {
    if (nginx) killGroup(nginx.child, 'SIGKILL');
    await nginx?.exited;
  });

  const instances = Array.from({ length: INSTANCES }, (_, index): RigInstance => {
    const id = `app${index + 1}`;
    let app: App | undefined;
    let running = false;
    const current = () => {
      if (!app) throw new Error(`${id} was never started`);
      return app;
    };
    stack.defer(async () => void (running && (await current().kill())));
    return {
      id,
      get app() {
        return current();
      },
      get running() {
        return running;
      },
      async start() {
        const mutation = process.env['MUTATION'];
        app = await startApp(
          {
            ...appEnv,
            INSTANCE_ID: id,
            REDIS_URL: redisUrl,
            PORT: String(settings.appPort(index + 1)),
            INTERNAL_PORT: String(settings.appInternalPort(index + 1)),
            ...options.env,
            ...(mutation && { MUTATION: mutation }),
          },
          mutation ? ['--import', join(import.meta.dirname, 'mutation.ts')] : [],
        );
        running = true;
      },
      async stop() {
        running = false;
        current().signal('SIGTERM');
        return current().exited;
      },
      async kill() {
        running = false;
        await current().kill();
      },
    };
  });

  const rig: Rig = {
    url: `ws://127.0.0.1:${settings.publicPort}/ws`,
    edgeUrl: `ws://127.0.0.1:${edge.port}/ws`,
    edge,
    redis,
    redisProxy,
    instances,
    nginx: {
      async start() {
        // /dev/stdout, where its access log goes, cannot be opened when it is a socket, as Node's pipes are.
        nginx = await run(program, args, { cwd, env, group: true, quiet: true });
        let said = '';
        nginx.child.stderr?.on('data', (chunk: Buffer) => {
          said += chunk;
        });
        const ready = until('nginx is ready', READY_MS, async () => (await part.problem()) === undefined);
        const ended = nginx.exited.then(({ code }) => Promise.reject(new Error(`nginx ended with ${code}:\n${said}`)));
        await Promise.race([ready, ended]);
        ended.catch(() => undefined);
      },
      async stop(signal) {
        if (nginx) killGroup(nginx.child, signal);
        await nginx?.exited;
      },
    },
    async startReplica(args) {
      return stack.use(await startRedis({ port: base + 21, args: [...keepsEverything, ...args] }));
    },
    async redisLinks(role) {
      const list = String(await redis.command('CLIENT', 'LIST'));
      return [...list.matchAll(/^id=(\d+) addr=\S+:(\d+) .*?name=wsfleet-(\w+)-(\w+)/gm)].flatMap(
        ([, id = '', port, instance = '', itsRole]) =>
          itsRole === role
            ? [{ id, instance, link: [...redisProxy.links].find((link) => link.port === Number(port)) }]
            : [],
      );
    },
    async roll() {
      for (const instance of instances) {
        const { code } = await instance.stop();
        if (code !== 0) throw new Error(`${instance.id} ended with ${code}:\n${instance.app.output.slice(-2000)}`);
        await instance.start();
      }
    },
    async healthy() {
      await until('all instances are ready', READY_MS, async () => {
        for (const { running, app } of instances) {
          if (!running || (await app.internal('/health/ready').catch(() => undefined))?.status !== 200) return false;
        }
        return (await part.problem()) === undefined;
      });
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
  await Promise.all([rig.nginx.start(), ...instances.map((instance) => instance.start())]);
  return rig;
}

/** Rooms of different runs have nothing to do with each other. */
export const freshRoom = () => `faults-${randomUUID().slice(0, 8)}`;
