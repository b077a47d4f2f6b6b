/** Other back-ends, which use the server API through NGINX (API_PUBLIC=true). */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestCluster } from './test-cluster.ts';

const DEADLINE_MS = 5_000;
const MOST_ATTEMPTS = 20;
const RETRY_MS = 100;

/** Asks until the answer is 200, as the API's users are told to: with the same id after a lost answer or 503. */
async function call(
  cluster: TestCluster,
  path: string,
  body?: object,
  method = body ? 'POST' : 'GET',
): Promise<unknown> {
  const secret = /^API_KEYS=[^:]+:[^:]+:(\w+)$/m.exec(readFileSync(cluster.envFile, 'utf8'))?.[1];
  let problem: unknown;
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
    if (attempt > 0) await delay(RETRY_MS * (0.5 + Math.random()));
    try {
      const response = await fetch(`http://127.0.0.1:${cluster.port}${path}`, {
        headers: { Authorization: `Bearer ${secret}`, 'Content-Type': 'application/json' },
        method,
        ...(body && { body: JSON.stringify(body) }),
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

/** Calls every operation that api-roll's callers do not, over and over until `done`. @returns how many calls were answered */
export async function useEveryOperation(cluster: TestCluster, done: () => boolean): Promise<number> {
  let calls = 0;
  const member = '/v1/users/nobody/rooms/api-tour';
  for (let round = 0; !done(); round += 1) {
    const id = `tour-${round}`;
    const tour: [path: string, body?: object | undefined, method?: string][] = [
      ['/v1/publish', [{ room: 'api-tour', content: { round }, id }]],
      ['/v1/direct', { userId: 'nobody', content: 'hello', id }],
      ['/v1/broadcast', { rooms: ['api-tour', 'api-tour-2'], content: 'hello', id }],
      ['/v1/rooms/api-tour/members'],
      ['/v1/rooms/api-tour/count'],
      ['/v1/rooms/api-tour/history?limit=1'],
      ['/v1/users/nobody/connections'],
      [member, {}, 'POST'],
      [member, undefined, 'DELETE'],
      ['/v1/disconnect', { userId: 'nobody' }],
      ['/v1/revoke', { jti: id }],
      ['/v1/stats'],
    ];
    for (const each of tour) {
      await call(cluster, ...each);
      calls += 1;
    }
  }
  return calls;
}
