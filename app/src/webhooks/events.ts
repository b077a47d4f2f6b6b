/** What webhooks tell. */
import type { Content, Member, Position, Sender } from '../protocol.ts';

/** `published` has the room `@user:ID` for a direct message to a user. Direct messages to one connection are not told. */
export interface WebhookEvents {
  connected: Member & { clientId: string; instanceId: string };
  /** `code`: the close code. An instance that is killed cannot say it; presence says `left` for its users. */
  disconnected: Member & { clientId: string; instanceId: string; code: number };
  /** A user, not a connection: the first of them in the room, the last of them out of it. */
  joined: Member & { room: string; memberCount: number };
  left: Member & { room: string; memberCount: number };
  published: { room: string; from: Sender; content: Content; position: Position };
}

export const webhookEvents = ['connected', 'disconnected', 'joined', 'left', 'published'] as const;
/** What becomes of an event. */
export const webhookOutcomes = ['queued', 'delivered', 'dropped'] as const;
export type WebhookEventType = (typeof webhookEvents)[number];
