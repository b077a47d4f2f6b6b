/**
 * Every metric of the app. metrics.ts creates the metrics from this table, and `npm run metrics-docs` writes docs/metrics.md.
 * The code bounds the values of a label: never a room, a user or anything that a client chooses.
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
  webhookOutcomes: readonly string[];
  apiCodes: readonly string[];
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
    help: 'Maximum number of connections (MAX_CONNECTIONS)',
    normal: 'above ws_connections by what the loss of one instance would add',
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
    help: 'Connections closed, by close code',
    normal: '1000, 1001 and 1006 from clients; 1012 only in a drain',
    label: { name: 'code', values: 'closeCodes' },
  },
  handshakesRefused: {
    name: 'ws_handshakes_refused_total',
    type: 'counter',
    unit: 'handshakes',
    help: 'Handshakes refused, by reason',
    normal: 'DRAINING in a deploy, which NGINX retries on the next instance; a few TOKEN_EXPIRED',
    label: { name: 'reason', values: 'handshakeRefusals' },
  },
  messagesReceived: {
    name: 'ws_messages_received_total',
    type: 'counter',
    unit: 'messages',
    help: 'Messages from clients, by type',
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
    help: 'Messages that the broker stored',
    normal: 'follows the chat and direct messages received',
  },
  messagesDelivered: {
    name: 'ws_messages_delivered_total',
    type: 'counter',
    unit: 'frames',
    help: 'Frames queued for members',
    normal: 'messages published times the members of their rooms, over all instances',
  },
  receivedBytes: {
    name: 'ws_received_bytes_total',
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes of messages from clients, including refused ones',
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
    help: 'Time until the broker acknowledged a message',
    normal: 'p99 below 25 ms',
  },
  deliveryLatency: {
    name: 'ws_delivery_latency_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time from the publisher’s instance until the message was queued for the members on this one',
    normal: 'p99 below 50 ms; includes messages delayed by a lost link, not replays',
  },
  rooms: {
    name: 'ws_rooms',
    type: 'gauge',
    unit: 'rooms',
    help: 'Rooms with members on this instance',
    normal: 'a room counts on every instance that has members of it',
  },
  members: {
    name: 'ws_members',
    type: 'gauge',
    unit: 'memberships',
    help: 'Rooms joined, summed over all connections',
    normal: 'follows the connections',
  },
  resumes: {
    name: 'ws_resumes_total',
    type: 'counter',
    unit: 'joins',
    help: 'Joins, by how the history continued',
    normal: 'none for new members, recovered for members who resume; rewound and gap stay at 0',
    label: { name: 'recovery', values: 'recoveries' },
  },
  messagesReplayed: {
    name: 'ws_messages_replayed_total',
    type: 'counter',
    unit: 'messages',
    help: 'Missed messages replayed to members who resumed',
    normal: 'a burst in a deploy',
  },
  holesFilled: {
    name: 'ws_holes_filled_total',
    type: 'counter',
    unit: 'messages',
    help: 'Missed messages that were backfilled from the history',
    normal: '0 except after a lost Redis link',
  },
  auditFindings: {
    name: 'ws_audit_findings_total',
    type: 'counter',
    unit: 'messages',
    help: 'Missed messages that only the audit found',
    normal: '0',
  },
  canaryAge: {
    name: 'ws_canary_age_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'Time since the last canary message arrived through Redis; 0 with BROKER=memory',
    normal: 'below 1',
  },
  gapsTold: {
    name: 'ws_gaps_told_total',
    type: 'counter',
    unit: 'gaps',
    help: 'Room histories that could not be continued, by reason; their members were sent a gap event',
    normal: '0',
    label: { name: 'reason', values: 'gapReasons' },
  },
  epochsSeen: {
    name: 'ws_epochs_seen_total',
    type: 'counter',
    unit: 'rooms',
    help: 'Rooms that started a new epoch, because Redis was restarted, failed over or emptied',
    normal: '0',
  },
  sendBuffer: {
    name: 'ws_send_buffer_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Bytes written that the kernel has not taken yet, over all connections',
    normal: 'near 0',
  },
  sendBufferMax: {
    name: 'ws_send_buffer_max_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'The largest send buffer of a connection',
    normal: 'near 0; at MAX_BUFFERED_BYTES the connection is closed with 4008',
  },
  slowConsumers: {
    name: 'ws_slow_consumers_total',
    type: 'counter',
    unit: 'connections',
    help: 'Slow consumers that were closed',
    normal: 'a few, on bad networks',
  },
  rateLimited: {
    name: 'ws_rate_limited_total',
    type: 'counter',
    unit: 'messages',
    help: 'Messages refused by the rate limit',
    normal: 'near 0',
  },
  authFailures: {
    name: 'ws_auth_failures_total',
    type: 'counter',
    unit: 'tokens',
    help: 'Tokens refused, at the handshake or in refresh_token, by reason',
    normal: 'some TOKEN_EXPIRED; TOKEN_INVALID only from forged tokens',
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
    help: '1 after SIGTERM',
    normal: '0; 1 for some seconds in a deploy, on one instance at a time',
  },
  drainRemaining: {
    name: 'ws_drain_remaining',
    type: 'gauge',
    unit: 'connections',
    help: 'Draining connections that are still open',
    normal: '0; falls evenly in a drain',
  },
  drainSlotLateness: {
    name: 'ws_drain_slot_lateness_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time from a draining connection’s slot until it closed; 0 if it closed earlier',
    normal: 'below DRAIN_GRACE, after which connections are closed with 1012',
  },
  brokerUp: {
    name: 'ws_broker_up',
    type: 'gauge',
    unit: '0 or 1',
    help: '1 while both Redis links are up',
    normal: '1',
  },
  redisLinkUp: {
    name: 'ws_redis_link_up',
    type: 'gauge',
    unit: '0 or 1',
    help: '1 while this Redis link is up; always 1 with BROKER=memory',
    normal: '1',
    label: { name: 'link', values: 'redisLinks' },
  },
  redisReconnects: {
    name: 'ws_redis_reconnects_total',
    type: 'counter',
    unit: 'times',
    help: 'Reconnects of this Redis link',
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
  apiRequests: {
    name: 'ws_api_requests_total',
    type: 'counter',
    unit: 'requests',
    help: 'Requests to the server API, by the code of their answer',
    normal: 'OK; UNAVAILABLE only while Redis or an instance is away, INTERNAL stays at 0',
    label: { name: 'code', values: 'apiCodes' },
  },
  webhookEvents: {
    name: 'ws_webhook_events_total',
    type: 'counter',
    unit: 'events',
    help: 'Webhook events: put into the queue, accepted by the receiver, dropped because the queue was full',
    normal: 'delivered follows queued, over all instances; dropped stays at 0',
    label: { name: 'outcome', values: 'webhookOutcomes' },
  },
  webhookFailures: {
    name: 'ws_webhook_failures_total',
    type: 'counter',
    unit: 'attempts',
    help: 'Attempts that the webhook receiver did not answer with 2xx',
    normal: '0',
  },
  webhookWaiting: {
    name: 'ws_webhook_waiting',
    type: 'gauge',
    unit: 'events',
    help: 'Events that wait for the webhook receiver, on the instance that sends; 0 on the others',
    normal: 'below 1000; grows while the receiver is away',
  },
  recentFrames: {
    name: 'ws_recent_frames_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Recent messages cached for members who resume',
    normal: 'grows to RECENT_FRAMES_BYTES and stays there',
  },
} as const satisfies Record<string, MetricRow>;
