import type { BrokerUnavailable } from '../../broker/broker.ts';
import { Problem } from './problem.ts';

/** What the server API answers while Redis or another instance cannot be reached. */
export const unavailable = ({ message, retryAfter, uncertain }: BrokerUnavailable): Problem =>
  new Problem(503, 'UNAVAILABLE', message, {
    retryAfter: Math.ceil(retryAfter / 1000),
    ...(uncertain && { uncertain }),
  });
