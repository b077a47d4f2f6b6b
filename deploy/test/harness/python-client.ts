/** The Python client of docs/examples on a test's cluster: publishes, and remembers what was acknowledged and what came. */
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { run, within } from '../../../app/test/harness/process.ts';
import { findPython } from '../../../app/test/harness/python.ts';
import type { TestCluster } from './test-cluster.ts';

const driver = fileURLToPath(new URL('../../../app/client/test/drive-python.py', import.meta.url));
const ACK_MS = 20_000;

export interface PythonClient {
  /** Contents that were acknowledged. */
  readonly acknowledged: string[];
  /** Contents that it passed on. */
  readonly received: string[];
  /** Publishes `NAME NUMBER` from 0 on, one after the other, until `done`. */
  publish(done: () => boolean): Promise<void>;
  /** Resolves when it has received this content. */
  until(content: string): Promise<void>;
  close(): Promise<void>;
}

/** Resolves when it has joined the room. */
export async function startPythonClient(cluster: TestCluster, name: string, room: string): Promise<PythonClient> {
  const args = [
    driver,
    `ws://127.0.0.1:${cluster.port}/ws`,
    JSON.stringify([room]),
    JSON.stringify(await cluster.token(name)),
  ];
  const { child, exited } = await run(findPython(), args, { stdin: true });
  const lookers = new Set<() => void>();
  const received: string[] = [];
  const acknowledged: string[] = [];
  let [joined, errors, settled, rejected] = [false, '', 0, ''];
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk;
  });
  createInterface(child.stdout as NonNullable<typeof child.stdout>).on('line', (text) => {
    const line = JSON.parse(text);
    if (line.joined) joined = true;
    else if (line.message) received.push(line.message.content);
    else if (line.resolved || line.rejected) {
      settled += 1;
      rejected ||= line.rejected ?? '';
    }
    for (const look of lookers) look();
  });

  async function wait(what: string, holds: () => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => holds() && resolve();
    lookers.add(look);
    look();
    await within(promise, () => `${name}: ${what}; ${errors}`, ACK_MS).finally(() => lookers.delete(look));
  }

  await wait('the join', () => joined);
  return {
    acknowledged,
    received,
    async publish(done) {
      for (let number = 0; !done(); number += 1) {
        const content = `${name} ${number}`;
        child.stdin?.write(`${JSON.stringify({ chat: [content, room] })}\n`);
        await wait(`the ack of ${content}`, () => settled > number);
        if (rejected) throw new Error(`${content} was refused: ${rejected}`);
        acknowledged.push(content);
      }
    },
    until: (content) => wait(content, () => received.includes(content)),
    async close() {
      child.kill('SIGKILL');
      await exited;
      if (errors) throw new Error(errors);
    },
  };
}
