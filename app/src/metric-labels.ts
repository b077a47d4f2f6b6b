/** Every value that a metric label can have. Clients cannot add any. */

import { brokerRefusals, redisLinks } from './broker/broker.ts';
import { closeCodes } from './close-codes.ts';
import { tokenProblems } from './connection/auth.ts';
import { handshakeRefusals } from './connection/handshake-refusal.ts';
import { handlers } from './handlers/index.ts';
import { problemCodes } from './http/api/problem.ts';
import type { MetricLabels } from './observability/metric-definitions.ts';
import { errorCodes, gapReasons, recoveries } from './protocol.ts';
import { webhookOutcomes } from './webhooks/events.ts';

/** Close codes of the WebSocket protocol itself. */
const PROTOCOL_CODES = [1002, 1003, 1005, 1006, 1007];

export const metricLabels: MetricLabels = {
  closeCodes: [...new Set([...PROTOCOL_CODES, ...Object.values(closeCodes).map(({ code }) => code)])]
    .sort()
    .map(String),
  handshakeRefusals,
  messageTypes: [...handlers.map(({ type }) => type), 'unknown', 'malformed'],
  errorCodes,
  recoveries,
  gapReasons,
  tokenProblems,
  redisLinks,
  brokerRefusals,
  webhookOutcomes,
  apiCodes: ['OK', ...problemCodes],
};
