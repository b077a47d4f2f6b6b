/**
 * Follows one message: node app/tools/trace.ts WS_URL --room lobby --instances app1,app2 [--wait SECONDS]. Puts a member on each
 * instance into the room, sends one message as one of them, and prints who had it when, as lines `INSTANCE | JSON` for logs.ts.
 * Exits 1 when somebody did not get it. WS_URL is NGINX's internal listener, which believes X-Forwarded-For: that is
 * how a connection gets to every instance. Signs its own token with JWT_SECRET.
 */
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';
import type { ServerMessage } from '../src/protocol.ts';
import { signToken } from './lib/signer.ts';

const MAX_ATTEMPTS = 256;
/** How long one connection may take: an instance that is stopped takes it, and says nothing. */
const ATTEMPT_MS = 1000;

const { values, positionals } = parseArgs({
  options: {
    room: { type: 'string', default: '' },
    instances: { type: 'string', default: '' },
    wait: { type: 'string', default: '30' },
  },
  allowPositionals: true,
});
const [url] = positionals;
const { room } = values;
const wanted = values.instances.split(',').filter(Boolean);
const waitMs = Number(values.wait) * 1000;
if (!url || !room || wanted.length === 0 || !(waitMs > 0)) {
  console.error('usage: trace.ts WS_URL --room lobby --instances app1,app2 [--wait SECONDS]');
  process.exit(64);
}

const token = signToken({ userId: 'wsfleet:trace', username: 'trace' }, 2 * waitMs + 60_000);
/** For everything together; half of it at most until there are members to send to. */
const deadline = AbortSignal.timeout(waitMs);
const connecting = AbortSignal.timeout(waitMs / 2);

interface Member {
  instance: string;
  clientId: string;
  socket: WebSocket;
}

const sockets: WebSocket[] = [];
const isNews = (message: ServerMessage) => message.type === 'message' && message.payload.room === room;

/** The first message that matches from now on, with the moment of its arrival. */
function next<M extends ServerMessage>(
  socket: WebSocket,
  matches: (message: ServerMessage) => boolean,
  signal: AbortSignal = deadline,
) {
  const { promise, resolve, reject } = Promise.withResolvers<{ message: M; time: number; at: number }>();
  const onMessage = (data: { toString(): string }) => {
    const message = JSON.parse(data.toString()) as ServerMessage;
    if (message.type === 'error') reject(new Error(`${message.payload.code}: ${message.payload.message}`));
    else if (matches(message)) resolve({ message: message as M, time: Date.now(), at: performance.now() });
  };
  const onClose = (code: number) => reject(new Error(`the connection was closed with ${code}`));
  const onLate = () => reject(new Error('nothing came in time'));
  socket.on('message', onMessage).on('close', onClose).on('error', reject);
  signal.addEventListener('abort', onLate);
  if (signal.aborted) onLate();
  return promise.finally(() => {
    socket.off('message', onMessage).off('close', onClose);
    signal.removeEventListener('abort', onLate);
  });
}
type Of<T extends ServerMessage['type']> = Extract<ServerMessage, { type: T }>;

/** Every attempt changes the third octet of its address, and so is another client even to ip_hash. */
async function connect(attempt: number): Promise<Member> {
  const headers = { Authorization: `Bearer ${token}`, 'X-Forwarded-For': `198.18.${attempt % 256}.1` };
  const socket = new WebSocket(url ?? '', { headers });
  // Those that are not needed stay, too: with STICKY_MODE=off NGINX would choose the same instance again.
  sockets.push(socket);
  const soon = AbortSignal.any([connecting, AbortSignal.timeout(ATTEMPT_MS)]);
  const { message } = await next<Of<'connected'>>(socket, ({ type }) => type === 'connected', soon);
  return { instance: message.payload.instanceId, clientId: message.payload.clientId, socket };
}

async function connectEverywhere(): Promise<Member[]> {
  const members = new Map<string, Member>();
  for (let attempt = 0; attempt < MAX_ATTEMPTS && !connecting.aborted; attempt += 1) {
    const member = await connect(attempt).catch(() => undefined);
    if (member && !members.has(member.instance)) members.set(member.instance, member);
    if (wanted.every((name) => members.has(name))) break;
  }
  return [...members.values()];
}

function tell(part: string, level: 'info' | 'error', time: number, msg: string, fields: object = {}): void {
  console.log(`${part} | ${JSON.stringify({ level, time, msg, ...fields })}`);
}

const reasonOf = (outcome: PromiseSettledResult<unknown>) =>
  outcome.status === 'rejected' ? (outcome.reason as Error).message : '';

async function trace(): Promise<boolean> {
  const members = await connectEverywhere();
  const missing = wanted.filter((name) => !members.some(({ instance }) => instance === name));
  const [sender] = members;
  if (!sender) throw new Error(`no connection through ${url}`);
  await Promise.all(
    members.map(({ socket }) => {
      socket.send(JSON.stringify({ type: 'join_room', payload: { room } }));
      return next(socket, ({ type }) => type === 'joined_room');
    }),
  );

  const id = randomUUID();
  const acked = next<Of<'ack'>>(sender.socket, (message) => message.type === 'ack' && message.id === id);
  const arrivals = members.map(({ socket }) =>
    next(socket, (message) => isNews(message) && (message as Of<'message'>).payload.from.clientId === sender.clientId),
  );
  const [time, at] = [Date.now(), performance.now()];
  sender.socket.send(JSON.stringify({ type: 'chat', id, payload: { room, content: 'make trace' } }));
  const [acknowledged, ...settled] = await Promise.allSettled([acked, ...arrivals]);
  const ack = acknowledged.status === 'fulfilled' ? acknowledged.value : undefined;
  const position = ack?.message.payload.position;
  const { instance, clientId } = sender;

  tell(instance, 'info', time, 'a member here sends it', { room, clientId, messageId: id, position });
  for (const name of missing) tell(name, 'error', time, 'has no member: NGINX did not lead there');
  settled.forEach((outcome, index) => {
    const { instance = '' } = members[index] ?? {};
    if (outcome.status === 'fulfilled') tell(instance, 'info', outcome.value.time, 'the member here has it');
    else tell(instance, 'error', Date.now(), `the member here does not have it: ${reasonOf(outcome)}`);
  });
  if (ack) tell(instance, 'info', ack.time, 'the sender has its acknowledgement', { position });
  else tell(instance, 'error', Date.now(), `the sender has none: ${reasonOf(acknowledged)}`);
  const all = settled.filter((outcome) => outcome.status === 'fulfilled').map(({ value }) => value);
  const ms = (then: number) => `${(then - at).toFixed(1)} ms`;
  const last = Math.max(...all.map((arrival) => arrival.at));
  const places = `on ${all.length} of ${wanted.length} instances${all.length > 0 ? ` after ${ms(last)}` : ''}`;
  const summary = `${ack ? `acknowledged after ${ms(ack.at)}` : 'not acknowledged'}, ${places}`;
  const complete = ack !== undefined && missing.length === 0 && all.length === members.length;
  tell('trace', complete ? 'info' : 'error', Date.now(), summary);
  return complete;
}

try {
  process.exitCode = (await trace()) ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  for (const socket of sockets) socket.terminate();
}
