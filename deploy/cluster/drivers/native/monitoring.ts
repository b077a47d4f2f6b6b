/** The exporters of Redis and NGINX for Prometheus, and Alertmanager. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { alertmanagerDir } from './configuration.ts';
import { find, PATH } from './program.ts';
import { problemOfHttp } from './readiness.ts';
import type { Service } from './service.ts';
import type { Settings } from './settings.ts';

const STOPPING = [{ signal: 'SIGTERM', ms: 5_000 }] as const;

export function createRedisExporter(settings: Settings): Service {
  const { redisExporterPort: port, redisPort, redisPassword } = settings;
  return {
    name: 'redis-exporter',
    program: 'prometheus-redis-exporter',
    command: () => ({
      program: find('prometheus-redis-exporter'),
      // Below Prometheus's scrape timeout, so that a Redis that hangs counts as down.
      args: ['-connection-timeout', '2s'],
      env: {
        PATH,
        REDIS_ADDR: `redis://127.0.0.1:${redisPort}`,
        REDIS_PASSWORD: redisPassword,
        REDIS_EXPORTER_WEB_LISTEN_ADDRESS: `127.0.0.1:${port}`,
      },
      cwd: settings.dir,
    }),
    ...listening(port, 'NATIVE_PORT_BASE', '/'),
    change: 'restart',
    stopping: STOPPING,
  };
}

export function createNginxExporter(settings: Settings): Service {
  const { nginxExporterPort: port, nginxInternalPort } = settings;
  return {
    name: 'nginx-exporter',
    program: 'prometheus-nginx-exporter',
    command: () => ({
      program: find('prometheus-nginx-exporter'),
      args: [],
      env: {
        PATH,
        SCRAPE_URI: `http://127.0.0.1:${nginxInternalPort}/stub_status`,
        LISTEN_ADDRESS: `127.0.0.1:${port}`,
        // It starts at the same time as NGINX and may be first.
        NGINX_RETRIES: '100',
        NGINX_RETRY_INTERVAL: '200ms',
        TIMEOUT: '2s',
      },
      cwd: settings.dir,
    }),
    ...listening(port, 'NATIVE_PORT_BASE', '/'),
    change: 'restart',
    stopping: STOPPING,
  };
}

export function createAlertmanager(settings: Settings): Service {
  const { alertmanagerPort: port } = settings;
  const dir = alertmanagerDir(settings);
  const file = join(dir, 'alertmanager.yml');
  return {
    name: 'alertmanager',
    program: 'prometheus-alertmanager',
    command: () => ({
      program: find('prometheus-alertmanager'),
      args: [
        `--config.file=${file}`,
        `--storage.path=${join(dir, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        `--web.external-url=http://localhost:${port}`,
        // A single instance: no gossip.
        '--cluster.listen-address=',
      ],
      env: { PATH },
      cwd: settings.dir,
      reads: [readFileSync(file, 'utf8')],
    }),
    ...listening(port, 'ALERTMANAGER_PORT', '/-/ready'),
    change: 'restart',
    stopping: STOPPING,
  };
}

function listening(port: number, variable: string, ready: string): Pick<Service, 'listens' | 'url' | 'problem'> {
  const url = `http://127.0.0.1:${port}`;
  return {
    listens: [{ host: '127.0.0.1', port, variable }],
    url,
    problem: () => problemOfHttp(url + ready),
  };
}
