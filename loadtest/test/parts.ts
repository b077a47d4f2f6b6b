/** Real NGINX and Prometheus of a test's own: loopback, free ports, a temporary folder, nothing kept. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../../app/test/harness/process.ts';
import { writeFolder } from '../../deploy/cluster/drivers/native/template.ts';
import { freePorts } from '../../deploy/test/harness/test-cluster.ts';

const root = resolve(import.meta.dirname, '../..');
const missing = (what: string) => `Install it: apt-get install ${what}`;
const READY_DEADLINE_MS = 20_000;

export interface StartedPart extends AsyncDisposable {
  readonly url: string;
}

/** The kit's own configuration, but for the list of instances. @param servers its lines */
export async function startNginx(servers: string): Promise<StartedPart> {
  const folder = await mkdtemp(join(tmpdir(), 'wsfleet-nginx-'));
  const port = await freePorts();
  writeFolder(join(root, 'deploy/nginx'), join(folder, 'conf'), {
    NGINX_HANDSHAKE_RATE: '99999',
    NGINX_HANDSHAKE_BURST: '99999',
    ...{ NGINX_CONF_DIR: '.', NGINX_RUN_DIR: 'run', NGINX_UPSTREAM: '../upstream.conf', NGINX_REALIP: '' },
    ...{ NGINX_API_UPSTREAM: '../upstream.conf', API_PUBLIC: 'false' },
    ...{ NGINX_LISTEN: `127.0.0.1:${port}`, NGINX_INTERNAL_LISTEN: `127.0.0.1:${port + 1}` },
    ...{ NGINX_ACCESS_LOG: '/dev/null', NGINX_ERROR_LOG: 'stderr', STICKY_MODE: 'off', TLS: 'false' },
  });
  await mkdir(join(folder, 'run'));
  await writeFile(join(folder, 'upstream.conf'), servers);
  return start(
    folder,
    ['nginx', '-p', `${folder}/`, '-e', 'stderr', '-c', 'conf/nginx.conf', '-g', 'daemon off;'],
    'nginx',
    { url: `ws://127.0.0.1:${port}/ws`, ready: `http://127.0.0.1:${port + 1}/stub_status`, end: 'SIGTERM' },
  );
}

/** Scrapes every half second. @param targets internal listeners as host:port, named app1, app2, ... */
export async function startPrometheus(targets: readonly string[]): Promise<StartedPart> {
  const folder = await mkdtemp(join(tmpdir(), 'wsfleet-prometheus-'));
  const port = await freePorts();
  const jobs = targets.map((target, index) => ({ targets: [target], labels: { instance: `app${index + 1}` } }));
  const config = {
    global: { scrape_interval: '500ms', scrape_timeout: '500ms' },
    scrape_configs: [{ job_name: 'app', static_configs: jobs }],
  };
  await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(config));
  const url = `http://127.0.0.1:${port}`;
  return start(
    folder,
    [
      ...['prometheus', `--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`],
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    'prometheus',
    { url, ready: `${url}/-/ready`, end: 'SIGKILL' },
  );
}

async function start(
  folder: string,
  [program = '', ...args]: string[],
  debian: string,
  part: { url: string; ready: string; end: NodeJS.Signals },
): Promise<StartedPart> {
  const env = { PATH: `${process.env['PATH']}:/usr/sbin` };
  const { child, exited } = await run(program, args, { env, missing: missing(debian) });
  let said = '';
  child.stderr?.on('data', (chunk) => {
    said += chunk;
  });
  const deadline = Date.now() + READY_DEADLINE_MS;
  while (
    !(await fetch(part.ready).then(
      (response) => response.ok,
      () => false,
    ))
  ) {
    if (Date.now() > deadline) throw new Error(`${program} is not ready:\n${said}`);
    await delay(50);
  }
  return {
    url: part.url,
    async [Symbol.asyncDispose]() {
      child.kill(part.end);
      await exited;
      await rm(folder, { recursive: true });
    },
  };
}
