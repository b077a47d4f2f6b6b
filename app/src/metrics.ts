/** The Prometheus metrics of one instance. Labels are bounded by the code: never a room, a user or a client's own word. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';

/** Close codes that the protocol itself makes. */
const PROTOCOL_CODES = [1002, 1003, 1005, 1006, 1007];

export type Metrics = ReturnType<typeof createMetrics>;

/** @param closeCodes the codes of our own that become a label */
export function createMetrics(closeCodes: Iterable<number>) {
  const knownCodes = new Set([...PROTOCOL_CODES, ...closeCodes]);
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter<L>({ name, help, labelNames, registers });
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });

  const connectionsClosed = counter('ws_connections_closed_total', 'Connections ended, by close code', ['code']);

  return {
    contentType: registry.contentType,
    /** The text exposition of everything. */
    text: () => registry.metrics(),

    connections: gauge('ws_connections', 'Open connections'),
    connectionsOpened: counter('ws_connections_opened_total', 'Connections accepted'),
    /** Counts by the code, where it is one of ours or of the protocol's; a client may have made up any other. */
    handleClosed: (code: number) => connectionsClosed.inc({ code: knownCodes.has(code) ? String(code) : 'other' }),
    handshakesRefused: counter('ws_handshakes_refused_total', 'Handshakes answered other than 101, by reason', [
      'reason',
    ]),
    messagesReceived: counter('ws_messages_received_total', 'Messages from clients, by type', ['type']),
    messagesRefused: counter('ws_messages_refused_total', 'Messages answered with an error, by code', ['code']),
    messagesPublished: counter('ws_messages_published_total', 'Messages handed to the broker and taken by it'),
    messagesDelivered: counter('ws_messages_delivered_total', 'Frames queued for members, one for each member'),
    resumes: counter('ws_resumes_total', 'Joins, by how the history went on', ['recovery']),
    messagesReplayed: counter('ws_messages_replayed_total', 'Messages sent again to members that came back'),
    gapsTold: counter('ws_gaps_told_total', 'Histories that could not be continued, by reason', ['reason']),
    rooms: gauge('ws_rooms', 'Rooms with members on this instance'),
    brokerUp: gauge('ws_broker_up', '1 while both links to the broker are up'),
    draining: gauge('ws_draining', '1 from SIGTERM on'),
  };
}
