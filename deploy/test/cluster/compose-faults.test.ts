/** The fault suite's first scenarios against real containers: a roll, a killed instance, an NGINX that goes. */
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cluster } from '../../../app/test/faults/rig.ts';
import { isClean, runScenario } from '../../../app/test/faults/scenario.ts';
import { killOne, rollingRestart } from '../../../app/test/faults/scenarios/instances.ts';
import { restartNginx } from '../../../app/test/faults/scenarios/network.ts';
import { row } from '../../../app/test/faults/table.ts';
import { SECRET } from '../../../app/test/harness/tokens.ts';
import { createTestCluster, run, type TestCluster, until } from '../harness/test-cluster.ts';

const READY_MS = 60_000;
const GATEWAYS = '10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,198.18.0.0/15';

const project = `wsfleet-faults-${process.pid}`;
const engine = spawnSync('docker', ['info'], { timeout: 20_000 }).status === 0;
if (!engine) console.warn('skipped: no Docker engine');

describe.skipIf(!engine)(`in containers${engine ? '' : ' (skipped: no Docker engine)'}`, () => {
  let made: TestCluster;
  let cluster: Cluster;

  beforeAll(async () => {
    made = await createTestCluster({
      DRIVER: 'compose',
      COMPOSE_PROJECT_NAME: project,
      TRUSTED_PROXIES: GATEWAYS,
      JWT_SECRET: SECRET,
      RATE_LIMIT_PER_MINUTE: '1000000',
      RATE_LIMIT_BURST: '100000',
    });
    const { code, stderr } = await made.make('up');
    if (code !== 0) throw new Error(`make up failed:\n${stderr}`);
    cluster = createCluster(made);
  });

  afterAll(() => made?.close());

  test.for(
    [rollingRestart, killOne, restartNginx].map((scenario) => [scenario.number, scenario.name, scenario] as const),
  )('%d. %s: nothing lost, doubled, disordered or refused', async ([, , scenario]) => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const outcome = await runScenario(scenario, cluster, { size: 'short', seed }, { forwarded: true });
    console.log(row(outcome));
    expect(isClean(outcome), `seed ${seed}\n${row(outcome)}`).toBe(true);
  });
});

function createCluster(made: TestCluster): Cluster {
  async function docker(command: string, service: string): Promise<void> {
    const { code, stderr } = await run('docker', [...command.split(' '), `${project}-${service}-1`]);
    if (code !== 0) throw new Error(`docker ${command} ${service} failed: ${stderr}`);
  }
  const healthy = () =>
    until('every part is ready', READY_MS, async () => {
      const { instances, parts } = await made.status();
      return [...instances, ...parts].every(({ state }) => state === 'ready' || state === 'running');
    }).then(() => undefined);
  return {
    url: `ws://127.0.0.1:${made.port}/ws`,
    healthy,
    instances: [1, 2, 3].map((index) => ({
      id: `app${index}`,
      kill: () => docker('kill', `app${index}`),
      async start() {
        await docker('start', `app${index}`);
        await healthy();
      },
    })),
    nginx: {
      stop: (signal) => docker(signal === 'SIGKILL' ? 'kill' : 'stop', 'nginx'),
      async start() {
        await docker('start', 'nginx');
        await healthy();
      },
    },
    async roll() {
      const { code, stdout, stderr } = await made.make('rolling-restart');
      if (code !== 0) throw new Error(`the roll failed:\n${stdout}\n${stderr}`);
    },
  };
}
