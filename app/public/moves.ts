/** Tells the story of the connection: where it is, why it moved, where it landed. */
import type { Client } from '/client/index.ts';
import type { Part } from './conversations.ts';
import type { Status } from './status.ts';

const PING_EVERY_MS = 30_000;

export function followConnection(options: {
  client: Client;
  status: Status;
  /** On another instance, or back after an interruption. */
  handleLanded(parts: Part[]): void;
  /** An attempt ended before there was a connection. */
  handleAttemptFailed(): void;
  /** The client will not come back by itself. */
  handleClosed(why: string): void;
}): void {
  const { client, status } = options;
  let instanceId: string | undefined;
  let draining = false;
  let lostAt: number | undefined;

  client.on('server_shutdown', ({ reconnectInMs }) => {
    if (!instanceId) return;
    draining = true;
    const when = reconnectInMs < 1_000 ? 'now' : `in ${Math.round(reconnectInMs / 1_000)} s`;
    status.log([{ instance: instanceId }, ` is restarting: moving ${when}.`], 'quiet');
  });

  client.on('state', (state) => {
    status.showState(state);
    switch (state.name) {
      case 'open': {
        const landed = land(state.instanceId);
        status.log(landed, instanceId === undefined ? undefined : 'quiet');
        if (instanceId !== undefined) options.handleLanded(landed);
        instanceId = state.instanceId;
        draining = false;
        lostAt = undefined;
        measure();
        break;
      }
      case 'connecting':
      case 'waiting':
        if (state.name === 'waiting' && (lostAt !== undefined || instanceId === undefined))
          options.handleAttemptFailed();
        if (instanceId === undefined || lostAt !== undefined) break;
        lostAt = Date.now();
        status.log(['The connection to ', { instance: instanceId }, ' was lost.']);
        break;
      case 'closed':
        if (state.code !== 1000) options.handleClosed(goodbye(state.code, state.reason));
        break;
    }
  });

  function land(to: string): Part[] {
    if (instanceId === undefined) return ['Connected to ', { instance: to }, '.'];
    if (lostAt !== undefined) {
      const seconds = ((Date.now() - lostAt) / 1_000).toFixed(1);
      return ['Back on ', { instance: to }, ` after ${seconds} s.`];
    }
    const why: Part[] = draining ? [' is restarting: moved to '] : [' was left for '];
    return [{ instance: instanceId }, ...why, { instance: to }, ' without a break.'];
  }

  function measure(): void {
    if (document.visibilityState !== 'visible' || client.state.name !== 'open') return;
    const start = performance.now();
    client.ping().then(
      () => status.showRoundTrip(performance.now() - start),
      () => undefined,
    );
  }

  setInterval(measure, PING_EVERY_MS);
}

function goodbye(code: number, reason: string): string {
  switch (code) {
    case 4505:
      return 'You were removed from the chat.';
    case 4504:
      return 'You are connected too many times.';
    case 4503:
      return 'You may not connect here.';
    case 4001:
    case 4500:
    case 1008:
      return 'The server does not accept your token any more. Please sign in again.';
    default:
      return reason === 'no token'
        ? 'Your session has ended. Please sign in again.'
        : `Disconnected: ${reason} (${code}).`;
  }
}
