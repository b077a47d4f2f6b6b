/** The kit's client and the Python client of docs/examples pass docs/conformance/client.json. */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { run, within } from '../../test/harness/process.ts';
import { findPython } from '../../test/harness/python.ts';
import { fill, fits, type Json, type Variables } from '../../tools/lib/vector.ts';
import { createClient } from '../src/client.ts';
import { RequestError } from '../src/errors.ts';
import { createScriptedServer, type Peer } from './scripted-server.ts';

interface Step {
  on: number;
  connects?: true | 'new-token';
  greets?: true;
  sends?: { type: string; [field: string]: Json };
  next?: { type: string; [field: string]: Json };
  gets?: { type: string; payload: object; id?: string };
  does?: { chat: [content: string, room: string] };
  resolves?: Json;
  rejects?: string;
  shows?: Json[];
  cut?: true;
  closes?: number;
  closed?: number;
  stays?: 'away';
}
interface Vector {
  name: string;
  rooms: string[];
  greeted?: true;
  steps: Step[];
}

const vectors = JSON.parse(
  readFileSync(new URL('../../../docs/conformance/client.json', import.meta.url), 'utf8'),
) as Vector[];

/** What a client does, seen from outside. */
interface Driven extends AsyncDisposable {
  chat(content: string, room: string): void;
  /** What became of its chats, in order: a position, or the code of an error. */
  readonly outcomes: Json[];
  /** Contents that it passed on. */
  readonly contents: Json[];
  readonly isAway: boolean;
}

async function driveKit(url: string, rooms: string[]): Promise<Driven> {
  let tokens = 0;
  const client = createClient({ url, token: () => `t${tokens++}`, rooms, backoff: { base: 20, cap: 50 } });
  const [outcomes, contents]: Json[][] = [[], []];
  client.on('message', ({ content }) => contents?.push(content as Json));
  client.connect();
  return {
    chat(content, room) {
      client.chat(content, room).then(
        ({ position }) => outcomes?.push(position as unknown as Json),
        (error: unknown) => outcomes?.push(error instanceof RequestError ? error.code : String(error)),
      );
    },
    outcomes: outcomes ?? [],
    contents: contents ?? [],
    get isAway() {
      return client.state.name === 'closed';
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}

async function drivePython(url: string, rooms: string[]): Promise<Driven> {
  const driver = fileURLToPath(new URL('drive-python.py', import.meta.url));
  const { child, exited } = await run(findPython(), [driver, url, JSON.stringify(rooms), 'null'], {
    stdin: true,
  });
  const driven = { outcomes: [] as Json[], contents: [] as Json[], isAway: false };
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk;
  });
  createInterface(child.stdout as NonNullable<typeof child.stdout>).on('line', (text) => {
    const line = JSON.parse(text);
    if (line.message) driven.contents.push(line.message.content);
    else if (line.resolved || line.rejected) driven.outcomes.push(line.resolved ?? line.rejected);
    else if (line.away) driven.isAway = true;
  });
  return Object.assign(driven, {
    chat: (content: string, room: string) => void child.stdin?.write(`${JSON.stringify({ chat: [content, room] })}\n`),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
      expect(errors).toBe('');
    },
  });
}

describe.each([
  ['the kit’s client', driveKit],
  ['the Python client', drivePython],
])('%s', (_, drive) => {
  test.for(vectors)('$name', async ({ rooms, greeted, steps }) => {
    const server = await createScriptedServer();
    try {
      await using client = await drive(server.url, rooms);
      const peers = new Map<number, Peer>();
      const variables: Variables = new Map();
      const tokens: (string | undefined)[] = [];

      async function accept(number: number): Promise<Peer> {
        const peer = await within(server.accept(), () => `connection ${number}`);
        expect(peer.protocols).toContain('wsfleet.v1');
        peers.set(number, peer);
        tokens.push(peer.token);
        return peer;
      }

      async function runStep(step: Step): Promise<void> {
        if (step.connects) {
          await accept(step.on);
          if (step.connects === 'new-token') expect(tokens.at(-1)).not.toBe(tokens.at(-2));
          return;
        }
        const peer = peers.get(step.on);
        if (!peer) throw new Error(`connection ${step.on} is not open`);
        if (step.greets) peer.greet();
        if (step.does) client.chat(...step.does.chat);
        if (step.gets) {
          const { type, payload, id } = fill(step.gets as never, variables) as unknown as NonNullable<Step['gets']>;
          peer.send(type, payload, id);
        }
        if (step.sends) {
          const frame = await peer.next(step.sends.type);
          expect(fits(step.sends, frame, variables), `it sent ${JSON.stringify(frame)}`).toBe(true);
        }
        if (step.next) {
          const frame = await peer.next();
          expect(fits(step.next, frame, variables), `it sent ${JSON.stringify(frame)}`).toBe(true);
        }
        if (step.resolves !== undefined || step.rejects !== undefined) {
          await expect.poll(() => client.outcomes[0], { timeout: 5000 }).toEqual(step.resolves ?? step.rejects);
          client.outcomes.shift();
        }
        if (step.shows) {
          await expect.poll(() => client.contents.length, { timeout: 5000 }).toBeGreaterThanOrEqual(step.shows.length);
          expect(client.contents.splice(0)).toEqual(step.shows);
        }
        if (step.cut) peer.terminate();
        if (step.closes !== undefined) peer.close(step.closes);
        if (step.closed !== undefined) expect(await peer.closed).toBe(step.closed);
        if (step.stays) {
          await expect.poll(() => client.isAway, { timeout: 5000 }).toBe(true);
          expect(server.count).toBe(peers.size);
        }
      }

      if (greeted) {
        const peer = await accept(1);
        peer.greet();
        await peer.acceptJoins(rooms);
      }
      for (const [index, step] of steps.entries()) {
        await runStep(step).catch((error: Error) => {
          error.message = `step ${index + 1}, ${JSON.stringify(step)}: ${error.message}`;
          throw error;
        });
      }
    } finally {
      await server.close();
    }
  });
});
