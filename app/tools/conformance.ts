/**
 * Runs docs/conformance/server.json against a server: node app/tools/conformance.ts WS_URL. Prints a line for each vector, and
 * exits 1 when one fails. Signs its tokens with JWT_SECRET.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { WebSocket } from 'ws';
import { withDeadline } from '../src/deadline.ts';
import { signToken } from './lib/signer.ts';
import { fill, fits, type Json, type Variables } from './lib/vector.ts';

const STEP_DEADLINE_MS = 8000;
const TOKEN_TTL_MS = 10 * 60 * 1000;
/** They come whenever someone else joins or leaves. */
const ANY_TIME = new Set(['user_joined', 'user_left', 'members']);

interface Step {
  on: string;
  opens?: true | string;
  claims?: Json;
  token?: string | null;
  plain?: boolean;
  refused?: number;
  code?: string;
  sends?: Json;
  sendsText?: string;
  sendsBinary?: string;
  gets?: { type: string; [field: string]: Json };
  closes?: number;
  closed?: number;
}
export interface ServerVector {
  name: string;
  steps: Step[];
}

export const serverVectors = JSON.parse(
  readFileSync(new URL('../../docs/conformance/server.json', import.meta.url), 'utf8'),
) as ServerVector[];

/** One connection of a vector: what came and was not taken yet, answers apart from the rest. */
class Peer {
  readonly answers: Record<string, Json>[] = [];
  readonly others: Record<string, Json>[] = [];
  code: number | undefined;
  #wake: () => void = () => undefined;
  readonly socket: WebSocket;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data) => {
      const frame = JSON.parse(data.toString());
      (frame.id === undefined ? this.others : this.answers).push(frame);
      this.#wake();
    });
    socket.on('close', (code) => {
      this.code = code;
      this.#wake();
    });
    socket.on('error', () => undefined);
  }

  /** The first value that `look` finds, now or after something came; undefined when it takes too long. */
  async find<T>(look: () => T | undefined): Promise<T | undefined> {
    const end = performance.now() + STEP_DEADLINE_MS;
    for (;;) {
      const found = look();
      const left = end - performance.now();
      if (found !== undefined || left <= 0) return found;
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await withDeadline(woken, left);
    }
  }
}

/** @throws {Error} that says which step went wrong, and how */
export async function runServerVector(url: string, { steps }: ServerVector): Promise<void> {
  const run = Math.random().toString(36).slice(2, 10);
  const peers = new Map<string, Peer>();
  const userOf = (name: string) => `conformance-${run}-${name}`;
  const tokenOf = (name: string, claims?: object) =>
    signToken({ userId: userOf(name), username: name, ...(claims && { claims }) }, TOKEN_TTL_MS);
  const variables: Variables = new Map<string, Json>([
    ['$room', `conformance.${run}`],
    ['$room2', `conformance.${run}.2`],
    ['$in2s', Math.floor(Date.now() / 1000) + 2],
  ]);
  for (const name of new Set(steps.map(({ on }) => on))) {
    variables.set(`$${name}`, userOf(name));
    variables.set(`$token:${name}`, tokenOf(name));
  }
  variables.set('$token:eve', tokenOf('eve'));

  try {
    for (const [index, step] of steps.entries()) {
      const problem = await runStep(step);
      if (problem) throw new Error(`step ${index + 1}, ${JSON.stringify(step)}: ${problem}`);
    }
  } finally {
    for (const { socket } of peers.values()) socket.terminate();
  }

  async function runStep(step: Step): Promise<string | undefined> {
    if (step.opens) return open(step, step.opens === true ? step.on : step.opens);
    const peer = peers.get(step.on);
    if (!peer) return 'this connection is not open';
    if (step.sends) peer.socket.send(JSON.stringify(fill(step.sends, variables)));
    if (step.sendsText !== undefined) peer.socket.send(step.sendsText);
    if (step.sendsBinary !== undefined) peer.socket.send(Buffer.from(step.sendsBinary, 'base64'));
    if (step.closes !== undefined) peer.socket.close(step.closes);
    if (step.closed !== undefined) {
      const code = await peer.find(() => peer.code);
      return code === step.closed ? undefined : `the connection was ${code ? `closed with ${code}` : 'not closed'}`;
    }
    return step.gets && get(peer, step.gets);
  }

  async function open({ on, claims, token, plain, refused, code }: Step, user: string): Promise<string | undefined> {
    const sent =
      token === undefined
        ? tokenOf(user, claims === undefined ? undefined : (fill(claims, variables) as object))
        : token;
    const socket = new WebSocket(url, plain ? [] : ['wsfleet.v1'], {
      headers: sent === null ? {} : { Authorization: `Bearer ${sent}` },
    });
    const peer = new Peer(socket);
    peers.set(on, peer);
    const answer = await Promise.race([
      once(socket, 'open').then(() => 'open' as const),
      new Promise<{ status?: number; body: string }>((resolve) => {
        socket.on('unexpected-response', async (_request, response) => {
          let body = '';
          for await (const chunk of response) body += chunk;
          resolve({ status: response.statusCode ?? 0, body });
        });
      }),
    ]);
    if (answer === 'open') return refused ? 'the handshake was accepted' : undefined;
    if (answer.status !== refused) return `the handshake was answered with ${answer.status} ${answer.body}`;
    return code && JSON.parse(answer.body).error?.code !== code
      ? `the handshake was refused as ${answer.body}`
      : undefined;
  }

  async function get(peer: Peer, pattern: NonNullable<Step['gets']>): Promise<string | undefined> {
    const queue = pattern['id'] === undefined ? peer.others : peer.answers;
    const frame = await peer.find(() => {
      while (queue[0] && queue[0]['type'] !== pattern.type && ANY_TIME.has(String(queue[0]['type']))) queue.shift();
      return queue.shift() ?? (peer.code === undefined ? undefined : null);
    });
    if (frame === undefined) return 'nothing came';
    if (frame === null) return `the connection was closed with ${peer.code}`;
    return fits(pattern, frame, variables) ? undefined : `came ${JSON.stringify(frame)}`;
  }
}

if (import.meta.main) {
  const [url] = process.argv.slice(2);
  if (!url) {
    console.error('usage: conformance.ts WS_URL');
    process.exit(64);
  }
  let failed = 0;
  for (const vector of serverVectors) {
    const error = await runServerVector(url, vector).catch((problem: Error) => problem);
    if (error) failed += 1;
    console.log(error ? `not ok  ${vector.name}\n        ${error.message}` : `ok      ${vector.name}`);
  }
  console.log(`${serverVectors.length - failed} of ${serverVectors.length} passed`);
  process.exit(failed > 0 ? 1 : 0);
}
