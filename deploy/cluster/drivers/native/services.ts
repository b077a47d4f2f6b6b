/** The services of a cluster, except those that only monitor it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nginxDir, prometheusDir, redisConf } from './configuration.ts';
import { createAlertmanager, createNginxExporter, createRedisExporter } from './monitoring.ts';
import { reloadNginx } from './nginx.ts';
import { find, PATH } from './program.ts';
import { problemOfHttp, problemOfRedis } from './readiness.ts';
import type { Service } from './service.ts';
import { hostOf, type Settings } from './settings.ts';
import { filesIn } from './template.ts';

export function createServices(settings: Settings, instances: number): Service[] {
  const apps = Array.from({ length: instances }, (_, index) => createApp(settings, index + 1));
  return [
    ...apps,
    createNginx(settings),
    createRedis(settings),
    createPrometheus(settings),
    createRedisExporter(settings),
    createNginxExporter(settings),
    createAlertmanager(settings),
  ];
}

function createApp(settings: Settings, instance: number): Service {
  const name = `app${instance}`;
  const port = settings.appPort(instance);
  const internalPort = settings.appInternalPort(instance);
  const apiPort = settings.appApiPort(instance);
  const url = `http://127.0.0.1:${internalPort}`;
  return {
    name,
    program: 'node',
    command: () => ({
      program: process.execPath,
      args: [join(settings.root, 'app/src/main.ts')],
      env: {
        ...settings.appEnv,
        PATH,
        NODE_COMPILE_CACHE: join(settings.dir, 'compile-cache'),
        INSTANCE_ID: name,
        PORT: String(port),
        INTERNAL_PORT: String(internalPort),
        API_PORT: String(apiPort),
      },
      cwd: settings.root,
    }),
    listens: [port, internalPort, apiPort].map((each) => ({
      host: '127.0.0.1',
      port: each,
      variable: 'NATIVE_PORT_BASE',
    })),
    url,
    problem: () => problemOfHttp(`${url}/health/ready`),
    change: 'roll',
    stopping: [{ signal: 'SIGTERM', ms: settings.stopGraceMs }],
  };
}

function createNginx(settings: Settings): Service {
  const { publicBind: host, nginxInternalPort: internalPort } = settings;
  return {
    name: 'nginx',
    program: 'nginx',
    command: () => ({
      program: find('nginx'),
      // -e: where it logs until it has read the configuration.
      args: ['-p', `${nginxDir(settings)}/`, '-e', 'stderr', '-c', 'conf/nginx.conf', '-g', 'daemon off;'],
      env: { PATH },
      cwd: settings.dir,
      reads: filesIn(nginxDir(settings))
        .filter((file) => !file.startsWith(join(nginxDir(settings), 'run')))
        .map(read),
    }),
    listens: [
      { host, port: settings.publicPort, variable: 'PUBLIC_PORT' },
      ...(settings.tls ? [{ host, port: settings.tlsPort, variable: 'TLS_PORT' }] : []),
      { host: '127.0.0.1', port: internalPort, variable: 'NATIVE_PORT_BASE' },
    ],
    url: `http://${hostOf(host)}:${settings.publicPort}`,
    problem: () => problemOfHttp(`http://127.0.0.1:${internalPort}/stub_status`),
    change: { reload: reloadNginx },
    // SIGQUIT lets requests finish, but waits for open WebSockets too; SIGTERM does not.
    stopping: [
      { signal: 'SIGQUIT', ms: 1_000 },
      { signal: 'SIGTERM', ms: 3_000 },
    ],
  };
}

function createRedis(settings: Settings): Service {
  const { redisPort: port } = settings;
  return {
    name: 'redis',
    program: 'redis-server',
    command: () => ({
      program: find('redis-server'),
      args: [redisConf(settings)],
      env: { PATH },
      cwd: settings.dir,
      reads: [redisConf(settings), join(settings.root, 'deploy/redis/redis.conf')].map(read),
    }),
    listens: [{ host: '127.0.0.1', port, variable: 'NATIVE_PORT_BASE' }],
    url: `redis://127.0.0.1:${port}`,
    problem: () => problemOfRedis(port, settings.redisPassword),
    change: 'restart',
    stopping: [{ signal: 'SIGTERM', ms: settings.stopGraceMs }],
  };
}

function createPrometheus(settings: Settings): Service {
  const { prometheusPort: port } = settings;
  const dir = prometheusDir(settings);
  const url = `http://127.0.0.1:${port}`;
  return {
    name: 'prometheus',
    program: 'prometheus',
    command: () => ({
      program: find('prometheus'),
      args: [
        `--config.file=${join(dir, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(dir, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        `--web.external-url=http://localhost:${port}`,
        // wsfleet.html, read again for each request. There are no libraries.
        `--web.console.templates=${join(dir, 'consoles')}`,
        `--web.console.libraries=${join(dir, 'consoles')}`,
      ],
      env: { PATH },
      cwd: settings.dir,
      // All but the targets, which it watches itself.
      reads: filesIn(dir)
        .filter((file) => file.endsWith('.yml'))
        .map(read),
    }),
    listens: [{ host: '127.0.0.1', port, variable: 'PROMETHEUS_PORT' }],
    url,
    problem: () => problemOfHttp(`${url}/-/ready`),
    change: 'restart',
    stopping: [{ signal: 'SIGTERM', ms: settings.stopGraceMs }],
  };
}

function read(file: string): string {
  return readFileSync(file, 'utf8');
}
