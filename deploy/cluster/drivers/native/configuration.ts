/**
 * The generated configuration of nginx, Redis, Prometheus and Alertmanager. Paths that nginx reads are relative to its own
 * folder, so that blanks in the project's path do no harm.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { certificateEnd } from '../../../../app/tools/certificate-end.ts';
import { hostOf, type Settings } from './settings.ts';
import { writeChanged, writeFolder } from './template.ts';

export const nginxDir = ({ dir }: Settings) => join(dir, 'nginx');
export const prometheusDir = ({ dir }: Settings) => join(dir, 'prometheus');
export const alertmanagerDir = ({ dir }: Settings) => join(dir, 'alertmanager');
export const redisConf = ({ dir }: Settings) => join(dir, 'redis/redis.conf');
/** Where certificate.sh puts cert.pem and key.pem. */
export const tlsDir = (settings: Settings) => join(nginxDir(settings), 'tls');

/** Points nginx at app1..appN. */
export function writeNginx(settings: Settings, instances: number): void {
  const { root, publicBind, publicPort, tlsPort } = settings;
  const dir = nginxDir(settings);
  mkdirSync(join(dir, 'run'), { recursive: true });
  const servers = (portOf: (instance: number) => number) =>
    numbers(instances)
      .map((i) => `server 127.0.0.1:${portOf(i)} max_fails=0;\n`)
      .join('');
  writeChanged(join(dir, 'upstream.conf'), servers(settings.appPort));
  writeChanged(join(dir, 'api-upstream.conf'), servers(settings.appApiPort));
  writeFolder(join(root, 'deploy/nginx'), join(dir, 'conf'), {
    NGINX_CONF_DIR: '.',
    NGINX_RUN_DIR: 'run',
    NGINX_UPSTREAM: '../upstream.conf',
    NGINX_API_UPSTREAM: '../api-upstream.conf',
    NGINX_LISTEN: `${hostOf(publicBind)}:${publicPort}`,
    NGINX_TLS_LISTEN: `${hostOf(publicBind)}:${tlsPort}`,
    NGINX_INTERNAL_LISTEN: `127.0.0.1:${settings.nginxInternalPort}`,
    NGINX_TLS_CERT: '../tls/cert.pem',
    NGINX_TLS_KEY: '../tls/key.pem',
    NGINX_ACCESS_LOG: '/dev/stdout',
    NGINX_ERROR_LOG: 'stderr',
    NGINX_REALIP: settings.realip,
    NGINX_HANDSHAKE_RATE: String(settings.handshakeRate),
    NGINX_HANDSHAKE_BURST: String(settings.handshakeBurst),
    STICKY_MODE: settings.stickyMode,
    API_PUBLIC: String(settings.apiPublic),
    TLS: String(settings.tls),
    TLS_PORT: String(tlsPort),
  });
}

/** Points Prometheus at app1..appN and the other services, and at Alertmanager; it watches these files itself. */
export function writeTargets(settings: Settings, instances: number): void {
  const target = (port: number, labels: Readonly<Record<string, string>>) => ({
    targets: [`127.0.0.1:${port}`],
    labels,
  });
  const service = (name: string, port: number) => target(port, { instance: name, job: name });
  const alertmanager = settings.alerts ? [service('alertmanager', settings.alertmanagerPort)] : [];
  const write = (file: string, targets: object[]) =>
    writeChanged(join(prometheusDir(settings), file), `${JSON.stringify(targets, undefined, 2)}\n`);
  write('targets.json', [
    ...numbers(instances).map((i) => target(settings.appInternalPort(i), { instance: `app${i}` })),
    service('prometheus', settings.prometheusPort),
    service('redis', settings.redisExporterPort),
    service('nginx', settings.nginxExporterPort),
    ...alertmanager,
  ]);
  write('alertmanagers.json', alertmanager);
}

export function writePrometheus(settings: Settings): void {
  const dir = prometheusDir(settings);
  writeFolder(join(settings.root, 'deploy/prometheus'), dir);
  writeFolder(join(settings.root, 'deploy/dashboards/generated/console'), join(dir, 'consoles'));
  // Of the one that NGINX was given: what it shows to clients cannot be read from NGINX.
  const end = settings.tls ? certificateEnd(readFileSync(join(tlsDir(settings), 'cert.pem'), 'utf8')) : undefined;
  const rule = { record: 'cluster:certificate_end:timestamp_seconds', expr: `vector(${end})` };
  const groups = end === undefined ? [] : [{ name: 'certificate', rules: [rule] }];
  writeChanged(join(dir, 'rules/certificate.yml'), `${JSON.stringify({ groups })}\n`);
}

export function writeAlertmanager(settings: Settings): void {
  writeFolder(join(settings.root, 'deploy/alertmanager'), alertmanagerDir(settings), {
    ALERT_WEBHOOKS: settings.alertWebhooks,
  });
}

export function writeRedis(settings: Settings): void {
  const lines = [
    `include ${JSON.stringify(join(settings.root, 'deploy/redis/redis.conf'))}`,
    'bind 127.0.0.1',
    `port ${settings.redisPort}`,
    `dir ${JSON.stringify(join(settings.dir, 'redis'))}`,
    'daemonize no',
    `requirepass ${JSON.stringify(settings.redisPassword)}`,
  ];
  writeChanged(redisConf(settings), `${lines.join('\n')}\n`, 0o600);
}

function numbers(instances: number): number[] {
  return Array.from({ length: instances }, (_, index) => index + 1);
}
