/** A receiver of webhooks that checks every signature with the library of Standard Webhooks, and fails when it is told to. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { within } from './process.ts';

export const WEBHOOK_SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=';

export interface ReceivedEvent {
  id: string;
  type: string;
  timestamp: number;
  [field: string]: unknown;
}

export interface WebhookReceiver extends AsyncDisposable {
  readonly url: string;
  /** Every event that it accepted, in order, also those that came again. */
  readonly events: ReceivedEvent[];
  /** Of accepted requests: how many events were dropped. */
  dropped: number;
  /** Requests that came while it failed. */
  failed: number;
  /** Its answer; `silent` gives none. */
  answer: number | 'silent';
  /** Resolves when what it has accepted is enough. */
  until(what: string, enough: (events: readonly ReceivedEvent[]) => boolean, ms?: number): Promise<void>;
}

export async function startReceiver(): Promise<WebhookReceiver> {
  const verifier = new Webhook(WEBHOOK_SECRET);
  const lookers = new Set<() => void>();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (receiver.answer !== 200) {
      receiver.failed += 1;
      for (const look of lookers) look();
      if (receiver.answer !== 'silent') response.writeHead(receiver.answer).end();
      return;
    }
    try {
      const body = verifier.verify(Buffer.concat(chunks).toString(), request.headers as Record<string, string>);
      const { events, dropped } = body as { events: ReceivedEvent[]; dropped: number };
      receiver.events.push(...events);
      receiver.dropped += dropped;
      response.writeHead(204).end();
    } catch {
      response.writeHead(400).end();
    }
    for (const look of lookers) look();
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const receiver: WebhookReceiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    events: [],
    dropped: 0,
    failed: 0,
    answer: 200,
    async until(what, enough, ms) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const look = () => enough(receiver.events) && resolve();
      lookers.add(look);
      look();
      const last = () =>
        `${what}; last came:\n${receiver.events
          .slice(-10)
          .map((each) => JSON.stringify(each))
          .join('\n')}`;
      await within(promise, last, ms).finally(() => lookers.delete(look));
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}
