/** A server of the user's: a shell command that listens on $HOST:$PORT and speaks the kit's protocol. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { freePorts } from '../test/harness/ports.ts';
import { killGroup, run, within } from '../test/harness/process.ts';
import { bindServer } from './cores.ts';
import type { BenchServer } from './server.ts';

const START_MS = 30_000;
/** Between two attempts to connect. */
const RETRY_MS = 50;

async function listens(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch {
      await delay(RETRY_MS);
    } finally {
      socket.destroy();
    }
  }
}

/** Linux counts CPU time in hundredths of a second. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

export async function startPeer(command: string, env: Readonly<Record<string, string>>): Promise<BenchServer> {
  const [port = 0] = await freePorts(1);
  const { child, pid, exited } = await run('sh', ['-c', `exec ${command}`], {
    env: { PATH: process.env['PATH'] ?? '', HOST: '127.0.0.1', PORT: String(port), ...env },
    group: true,
    quiet: true,
  });
  bindServer(pid);
  const ended = exited.then(() => Promise.reject(new Error(`PEER ended before it listened on ${port}`)));
  ended.catch(() => undefined);
  await within(Promise.race([listens(port), ended]), () => `PEER to listen on ${port}`, START_MS);
  return {
    origin: `ws://127.0.0.1:${port}`,
    cpu: async () => cpuOf(pid),
    async stop() {
      killGroup(child, 'SIGKILL');
      await exited;
    },
  };
}
