/** Other back-ends, which use the server API through NGINX (API_PUBLIC=true). */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestCluster } from './test-cluster.ts';

const DEADLINE_MS = 5_000;
const MOST_ATTEMPTS = 20;
const RETRY_MS = 100;

/** Asks until the answer is 200, as the API's users are told to: with the same id after a lost answer or 503. */
async function call(cluster: TestCluster, path: string, body?: object): Promise<unknown> {
  const secret = /^API_KEYS=[^:]+:[^:]+:(\w+)$/m.exec(readFileSync(cluster.envFile, 'utf8'))?.[1];
  let problem: unknown;
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
    if (attempt > 0) await delay(RETRY_MS * (0.5 + Math.random()));
    try {
      const response = await fetch(`http://127.0.0.1:${cluster.port}${path}`, {
        headers: { Authorization: `Bearer ${secret}`, 'Content-Type': 'application/json' },
        ...(body && { method: 'POST', body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(DEADLINE_MS),
      });
      const text = await response.text();
      if (response.ok) return JSON.parse(text);
      problem = `${response.status} ${text}`;
      if (response.status < 500) break;
    } catch (error) {
      problem = error;
    }
  }
  throw new Error(`${path} was not answered: ${problem}`);
}

export interface ApiCaller {
  readonly name: string;
  /** How many messages were acknowledged. */
  readonly sent: number;
  /** Publishes `NAME NUMBER` from 0 on, one after the other, until `done`. */
  publish(room: string, done: () => boolean): Promise<void>;
}

export function createApiCaller(cluster: TestCluster, name: string): ApiCaller {
  let sent = 0;
  return {
    name,
    get sent() {
      return sent;
    },
    async publish(room, done) {
      while (!done()) {
        await call(cluster, '/v1/publish', { room, content: `${name} ${sent}`, id: `${name}-${sent}` });
        sent += 1;
      }
    },
  };
}

/** Follows a room's history from now on, page by page; `read` resolves with all of it once nothing is published any more. */
export function createApiReader(cluster: TestCluster, room: string): { read(): Promise<string[]> } {
  const seen: string[] = [];
  let after = '';
  let ending = false;

  async function follow(): Promise<void> {
    for (let last = false; !last; ) {
      // What is read after this is everything, if nothing is published any more.
      last = ending;
      const page = (await call(cluster, `/v1/rooms/${room}/history?limit=1000${after}`)) as {
        messages: { content: string }[];
        recovery: string;
        next: string;
        more: boolean;
      };
      if (page.recovery !== 'recovered') throw new Error(`the history of ${room} did not continue: ${page.recovery}`);
      seen.push(...page.messages.map(({ content }) => content));
      after = `&after=${encodeURIComponent(page.next)}`;
      last &&= !page.more;
      if (!page.more && !last) await delay(RETRY_MS);
    }
  }

  const following = follow();
  following.catch(() => undefined);
  return {
    async read() {
      ending = true;
      await following;
      return seen;
    },
  };
}
