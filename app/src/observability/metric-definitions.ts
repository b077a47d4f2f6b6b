/**
 * Every metric of the app. metrics.ts makes the metrics from this table, `npm run metrics-docs` makes docs/metrics.md.
 * A label's values are bounded by the code: never a room, a user or a client's own word.
 */

/** The values that labels have, each list from where the code defines it: ../metric-labels.ts. */
export interface MetricLabels {
  closeCodes: readonly string[];
  handshakeRefusals: readonly string[];
  messageTypes: readonly string[];
  errorCodes: readonly string[];
  recoveries: readonly string[];
  gapReasons: readonly string[];
  tokenProblems: readonly string[];
  redisLinks: readonly string[];
  brokerRefusals: readonly string[];
}

export interface MetricRow {
  name: string;
  type: 'counter' | 'gauge' | 'histogram';
  unit: string;
  help: string;
  /** What someone on call should expect to see. */
  normal: string;
  label?: { readonly name: string; readonly values: keyof MetricLabels };
}

export const metricDefinitions = {
  connections: {
    name: 'ws_connections',
    type: 'gauge',
    unit: 'connections',
    help: 'Open connections',
    normal: 'about the same on every instance',
  },
  connectionsLimit: {
    name: 'ws_connections_limit',
    type: 'gauge',
    unit: 'connections',
    help: 'Connections that this instance takes (MAX_CONNECTIONS)',
    normal: 'well above ws_connections, by what one instance less would bring',
  },
  connectionsOpened: {
    name: 'ws_connections_opened_total',
    type: 'counter',
    unit: 'connections',
    help: 'Connections accepted',
    normal: 'a burst when another instance drains or dies',
  },
  connectionsClosed: {
    name: 'ws_connections_closed_total',
    type: 'counter',
    unit: 'connections',
    help: 'Connections ended, by close code',
    normal: '1000, 1001 and 1006 from clients; 1012 only in a drain',
    label: { name: 'code', values: 'closeCodes' },
  },
  handshakesRefused: {
    name: 'ws_handshakes_refused_total',
    type: 'counter',
    unit: 'handshakes',
    help: 'Handshakes answered other than 101, by reason',
    normal: 'DRAINING in a deploy, which NGINX hands on to the next instance; a few TOKEN_EXPIRED',
    label: { name: 'reason', values: 'handshakeRefusals' },
  },
  messagesReceived: {
    name: 'ws_messages_received_total',
    type: 'counter',
    unit: 'messages',
    help: 'Messages from clients that were handled, by type',
    normal: 'unknown and malformed stay at 0',
    label: { name: 'type', values: 'messageTypes' },
  },
  messagesRefused: {
    name: 'ws_messages_refused_total',
    type: 'counter',
    unit: 'messages',
    help: 'Messages answered with an error, by code',
    normal: 'UNAVAILABLE and INTERNAL stay at 0',
    label: { name: 'code', values: 'errorCodes' },
  },
  messagesPublished: {
    name: 'ws_messages_published_total',
    type: 'counter',
    unit: 'messages',
    help: 'Messages handed to the broker and taken by it',
    normal: 'follows the chats and directs received',
  },
  messagesDelivered: {
    name: 'ws_messages_delivered_total',
    type: 'counter',
    unit: 'frames',
    help: 'Frames queued for members, one for each member',
    normal: 'messages published times the members of their rooms, summed over the instances',
  },
  receivedBytes: {
    name: 'ws_received_bytes_total',
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes of messages from clients, refused ones too',
    normal: 'follows the messages received',
  },
  deliveredBytes: {
    name: 'ws_delivered_bytes_total',
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes of the frames queued for members',
    normal: 'follows the frames delivered',
  },
  publishDuration: {
    name: 'ws_publish_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'From handing a message to the broker until it answered that it has it',
    normal: 'p99 below 25 ms',
  },
  deliveryLatency: {
    name: 'ws_delivery_latency_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'From the message at its publisher’s instance until it was queued for the members of this one',
    normal: 'p99 below 50 ms; what a lost link held up counts too, what is replayed to one member does not',
  },
  rooms: {
    name: 'ws_rooms',
    type: 'gauge',
    unit: 'rooms',
    help: 'Rooms that connections of this instance are in',
    normal: 'the same room counts on every instance that has members of it',
  },
  members: {
    name: 'ws_members',
    type: 'gauge',
    unit: 'memberships',
    help: 'Rooms that each connection has joined, summed over the connections',
    normal: 'follows the connections',
  },
  resumes: {
    name: 'ws_resumes_total',
    type: 'counter',
    unit: 'joins',
    help: 'Joins, by how the history went on',
    normal: 'none from new members, recovered from those that come back; rewound and gap stay at 0',
    label: { name: 'recovery', values: 'recoveries' },
  },
  messagesReplayed: {
    name: 'ws_messages_replayed_total',
    type: 'counter',
    unit: 'messages',
    help: 'Messages sent again to members that came back',
    normal: 'a burst in a deploy',
  },
  holesFilled: {
    name: 'ws_holes_filled_total',
    type: 'counter',
    unit: 'messages',
    help: 'Messages that never came live and were read from the history',
    normal: '0 but after a lost link to Redis',
  },
  auditFindings: {
    name: 'ws_audit_findings_total',
    type: 'counter',
    unit: 'messages',
    help: 'Those of them that nothing but the audit noticed',
    normal: '0',
  },
  canaryAge: {
    name: 'ws_canary_age_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'Since the last message to itself came back through Redis; 0 with BROKER=memory',
    normal: 'below 1',
  },
  gapsTold: {
    name: 'ws_gaps_told_total',
    type: 'counter',
    unit: 'gaps',
    help: 'Histories of rooms that could not be continued, by reason; their members were told',
    normal: '0',
    label: { name: 'reason', values: 'gapReasons' },
  },
  epochsSeen: {
    name: 'ws_epochs_seen_total',
    type: 'counter',
    unit: 'rooms',
    help: 'Rooms that were found in a new epoch: Redis was restarted, replaced or emptied',
    normal: '0',
  },
  sendBuffer: {
    name: 'ws_send_buffer_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Written to sockets and not yet taken by the kernel, over all connections',
    normal: 'near 0',
  },
  sendBufferMax: {
    name: 'ws_send_buffer_max_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'The same of the connection that has most',
    normal: 'near 0; at MAX_BUFFERED_BYTES it is closed with 4008',
  },
  slowConsumers: {
    name: 'ws_slow_consumers_total',
    type: 'counter',
    unit: 'connections',
    help: 'Connections closed because they did not read',
    normal: 'a few: people on bad networks',
  },
  rateLimited: {
    name: 'ws_rate_limited_total',
    type: 'counter',
    unit: 'messages',
    help: 'Messages refused because their sender sent too many',
    normal: 'near 0',
  },
  authFailures: {
    name: 'ws_auth_failures_total',
    type: 'counter',
    unit: 'tokens',
    help: 'Tokens refused, at the handshake or in refresh_token, by reason',
    normal: 'some TOKEN_EXPIRED; TOKEN_INVALID only from those who forge',
    label: { name: 'reason', values: 'tokenProblems' },
  },
  ready: {
    name: 'ws_ready',
    type: 'gauge',
    unit: '0 or 1',
    help: '1 while /health/ready answers 200',
    normal: '1',
  },
  draining: {
    name: 'ws_draining',
    type: 'gauge',
    unit: '0 or 1',
    help: '1 from SIGTERM on',
    normal: '0; 1 for some seconds in a deploy, on one instance at a time',
  },
  drainRemaining: {
    name: 'ws_drain_remaining',
    type: 'gauge',
    unit: 'connections',
    help: 'Connections that were sent away and are still here',
    normal: '0; falls evenly in a drain',
  },
  drainSlotLateness: {
    name: 'ws_drain_slot_lateness_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'How long after its slot a connection left that was sent away; 0 for one that left earlier',
    normal: 'below DRAIN_GRACE, at which the others are closed with 1012',
  },
  brokerUp: {
    name: 'ws_broker_up',
    type: 'gauge',
    unit: '0 or 1',
    help: '1 while both links to the broker are up',
    normal: '1',
  },
  redisLinkUp: {
    name: 'ws_redis_link_up',
    type: 'gauge',
    unit: '0 or 1',
    help: '1 while this link to Redis is up; with BROKER=memory nothing can be down',
    normal: '1',
    label: { name: 'link', values: 'redisLinks' },
  },
  redisReconnects: {
    name: 'ws_redis_reconnects_total',
    type: 'counter',
    unit: 'times',
    help: 'Returns of this link after it was lost',
    normal: '0',
    label: { name: 'link', values: 'redisLinks' },
  },
  brokerRefusals: {
    name: 'ws_broker_refusals_total',
    type: 'counter',
    unit: 'commands',
    help: 'Commands that Redis did not carry out, by reason',
    normal: '0 while Redis is well: full is OOM, read_only is READONLY, cannot_persist is MISCONF',
    label: { name: 'reason', values: 'brokerRefusals' },
  },
  recentFrames: {
    name: 'ws_recent_frames_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Recent messages kept in memory for members that come back',
    normal: 'grows up to RECENT_FRAMES_BYTES and stays',
  },
} as const satisfies Record<string, MetricRow>;
