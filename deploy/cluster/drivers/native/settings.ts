/** The settings that lib/settings.sh puts into the environment, and what follows from them. */
import { join } from 'node:path';

export interface Settings {
  root: string;
  /** State, logs and generated configuration; belongs to this cluster alone. */
  dir: string;
  runDir: string;
  logDir: string;
  instances: number;
  publicBind: string;
  publicPort: number;
  tls: boolean;
  tlsPort: number;
  stickyMode: string;
  /** nginx directives that say whose X-Forwarded-For is believed. */
  realip: string;
  /** Handshakes per second of one address, and how many at once. */
  handshakeRate: number;
  handshakeBurst: number;
  prometheusPort: number;
  apiPublic: boolean;
  redisExporterPort: number;
  nginxExporterPort: number;
  /** Alertmanager belongs to the cluster. */
  alerts: boolean;
  alertmanagerPort: number;
  /** Whom it tells, as its configuration lists them. */
  alertWebhooks: string;
  redisPort: number;
  nginxInternalPort: number;
  appPort(instance: number): number;
  appApiPort(instance: number): number;
  appInternalPort(instance: number): number;
  /** Empty before the first `make up`. */
  redisPassword: string;
  /** How long a service may take to end before it is killed. */
  stopGraceMs: number;
  /** What the app's instances have in common: the variables that they know, and no others. */
  appEnv: Readonly<Record<string, string>>;
}

/** @throws {Error} naming the variable that is missing or wrong */
export function loadSettings(root: string, env: NodeJS.ProcessEnv): Settings {
  const text = (name: string) => {
    const value = env[name];
    if (!value) throw new Error(`${name} is not set: run this through make, or deploy/cluster/commands`);
    return value;
  };
  const number = (name: string) => {
    const value = Number(text(name));
    if (!Number.isInteger(value) || value < 0) throw new Error(`${name}=${env[name]}: expected a whole number`);
    return value;
  };
  const base = number('NATIVE_PORT_BASE');
  const dir = join(text('CLUSTER_DIR'), 'native');
  return {
    root,
    dir,
    runDir: join(dir, 'run'),
    logDir: join(dir, 'logs'),
    instances: number('INSTANCES'),
    publicBind: text('PUBLIC_BIND'),
    publicPort: number('PUBLIC_PORT'),
    tls: env['TLS'] === 'true',
    tlsPort: number('TLS_PORT'),
    stickyMode: text('STICKY_MODE'),
    realip: env['NGINX_REALIP'] ?? '',
    handshakeRate: number('HANDSHAKE_RATE'),
    handshakeBurst: number('HANDSHAKE_BURST'),
    prometheusPort: number('PROMETHEUS_PORT'),
    apiPublic: env['API_PUBLIC'] === 'true',
    redisExporterPort: base + 90,
    nginxExporterPort: base + 91,
    alerts: env['ALERTS'] === 'true',
    alertmanagerPort: number('ALERTMANAGER_PORT'),
    alertWebhooks: text('ALERT_WEBHOOKS'),
    redisPort: base,
    nginxInternalPort: base + 100,
    appPort: (instance) => base + instance,
    appApiPort: (instance) => base + 20 + instance,
    appInternalPort: (instance) => base + 50 + instance,
    redisPassword: env['REDIS_PASSWORD'] ?? '',
    stopGraceMs: number('STOP_GRACE') * 1000,
    appEnv: {
      ...Object.fromEntries(
        text('APP_SETTINGS')
          .split(' ')
          .flatMap((name) => [name, `${name}_FILE`])
          .flatMap((name) => (env[name] ? [[name, env[name]]] : [])),
      ),
      NODE_ENV: 'production',
      HOST: '127.0.0.1',
      BROKER: 'redis',
      REDIS_URL: `redis://127.0.0.1:${base}`,
      LOG_FORMAT: 'json',
    },
  };
}

/** An address as written in a URL or a listen directive. */
export function hostOf(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}
