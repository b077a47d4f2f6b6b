/** What the scripts measure. A metric is made once, before the first iteration. */
import { Counter, Trend } from 'k6/metrics';

/** Clients whose account was checked to the end: they heard everyone in their room, and all of their own was acknowledged. */
export const clientsVerified = new Counter('clients_verified');
/** Messages that came to a member, and were new to it. */
export const deliveries = new Counter('deliveries');
/** From the moment a message was due until a member had it, replayed ones too. */
export const deliveryLatency = new Trend('delivery_latency', true);
/** How much longer a member waited for a publisher's next message than the publisher's own pace. */
export const deliveryGap = new Trend('delivery_gap', true);
/** From the loss of a connection, or its slot in a drain, until all rooms are joined on the next. */
export const backAfter = new Trend('back_after', true);
/** Messages that a member never got; that it got again; that came after a later one of the same publisher. */
const lost = new Counter('lost');
const doubled = new Counter('doubled');
const disordered = new Counter('disordered');
/** Handshakes that were not answered with 101. */
const refused = new Counter('refused');
/** All of these four: what makes a step of `ramp` a bad one. */
const flaws = new Counter('flaws');
/** Histories that the server could not continue, and said so. */
export const gapsTold = new Counter('gaps_told');
/** Times that a client was in all its rooms again on a new connection. */
export const reconnects = new Counter('reconnects');
/** Messages to rooms that were handed to a client, and those that the server acknowledged; directs that it acknowledged. */
export const published = new Counter('published');
export const acknowledged = new Counter('acknowledged');
export const directs = new Counter('directs');
/** How far the rooms' own numbers went on: what the server stored. */
export const stored = new Counter('stored');
/** Clients that came to the end of their account, whatever it said. */
export const accounted = new Counter('accounted');
export const joinLatency = new Trend('join_latency', true);
export const ackLatency = new Trend('ack_latency', true);
/** Sockets that were greeted. */
export const opened = new Counter('opened');
/** Clients that came to an instance and that left it, by its name. */
export const arrived = new Counter('arrived');
export const departed = new Counter('departed');
/** What a script proves besides: one for each step that went as it should, and one for each that did not. */
export const proved = new Counter('proved');
export const failed = new Counter('failed');
/** Growth of an instance's memory and open files, in percent; instances of which both were known, and of which not. */
export const memoryGrowth = new Trend('memory_growth');
export const handleGrowth = new Trend('handle_growth');
export const watched = new Counter('watched');
export const unwatched = new Counter('unwatched');

/** Connections that ended, by close code, and refused messages, by error code: a summary shows no tags. */
const ENDINGS = ['1000', '1001', '1006', '1011', '1012', '1013', '4000', '4001', '4008', '4029', 'other'];
const ERRORS = ['RATE_LIMITED', 'UNAVAILABLE', 'NOT_IN_ROOM', 'TOKEN_INVALID', 'NOT_FOUND', 'INTERNAL', 'OTHER'];
const endings = new Map(ENDINGS.map((code) => [code, new Counter(`ended_${code}`)]));
const errors = new Map(ERRORS.map((code) => [code, new Counter(`error_${code}`)]));

/** @param tags of the moment that it happened at */
export function countFlaw(kind: 'lost' | 'doubled' | 'disordered' | 'refused', tags?: Record<string, string>): void {
  ({ lost, doubled, disordered, refused })[kind].add(1, tags);
  flaws.add(1, tags);
}
export const countEnding = (code: number): void => (endings.get(String(code)) ?? endings.get('other'))?.add(1);
export const countError = (code: string): void => (errors.get(code) ?? errors.get('OTHER'))?.add(1);
