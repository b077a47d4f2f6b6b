/** Why a message did not get through, in words for its author. */
import { RequestError } from '/client/index.ts';
import type { Conversation } from './conversations.ts';

export function reasonOf(error: unknown, { title }: Conversation): string {
  if (!(error instanceof RequestError)) return String(error);
  const seconds = Math.ceil((error.retryAfter ?? 0) / 1_000);
  switch (error.code) {
    case 'RATE_LIMITED':
      return `too many messages at once; possible again in ${seconds} s.`;
    case 'UNAVAILABLE':
      return error.uncertain ? 'the cluster lost it, perhaps.' : 'the cluster cannot pass messages on right now.';
    case 'NOT_FOUND':
      return `${title} is not connected.`;
    case 'NOT_CONNECTED':
      return 'there is no connection.';
    case 'CONNECTION_LOST':
    case 'TIMEOUT':
      return 'there was no answer; it may have arrived.';
    default:
      return `${error.message}.`;
  }
}
