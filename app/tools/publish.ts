/**
 * Publishes a message through the server API, with the first key of API_KEYS that may:
 *   node app/tools/publish.ts URL --room lobby --content hello [--id ID]
 * Prints the answer, and exits 0 on success. It sends the message again, with the same id, when the answer is lost.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const DEADLINE_MS = 3000;
const MOST_ATTEMPTS = 5;
const RETRY_MS = 500;

const { values, positionals } = parseArgs({
  options: { room: { type: 'string' }, content: { type: 'string' }, id: { type: 'string' } },
  allowPositionals: true,
});
const [url] = positionals;
const { room, content, id = randomUUID() } = values;
const keys = (process.env['API_KEYS'] ?? '').split(',').map((key) => key.trim().split(':'));
const secret = keys.find(([, scopes]) => scopes?.split('+').includes('publish'))?.[2];
if (!url || !room || !content) end('usage: publish.ts URL --room ROOM --content TEXT [--id ID]', 64);
if (!secret) end('API_KEYS has no key with the scope publish; make up writes one into .env', 78);

for (let attempt = 1; ; attempt += 1) {
  const problem = await publish();
  if (problem === undefined) break;
  if (!problem.again || attempt === MOST_ATTEMPTS) end(problem.text, 1);
  await delay(RETRY_MS * (0.5 + Math.random()));
}

/** @returns nothing on success, otherwise what went wrong, and whether to try again */
async function publish(): Promise<{ text: string; again: boolean } | undefined> {
  try {
    const response = await fetch(new URL('/v1/publish', url), {
      method: 'POST',
      headers: { Authorization: `Bearer ${secret}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ room, content, id }),
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    const text = await response.text();
    if (!response.ok) return { text, again: response.status === 503 || response.status === 429 };
    console.log(text);
    return undefined;
  } catch (error) {
    const { message, cause } = error as Error;
    return { text: `${url}: ${(cause as Error | undefined)?.message ?? message}`, again: true };
  }
}

function end(text: string, code: number): never {
  console.error(text);
  process.exit(code);
}
