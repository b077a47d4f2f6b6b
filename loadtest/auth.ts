/** Who is let in and for how long: expired, forged and missing tokens, a refresh in band, a token that ends, limits. */
import exec from 'k6/execution';
import { setTimeout } from 'k6/timers';
import { failed, proved } from './lib/metrics.ts';
import { loadOptions } from './lib/options.ts';
import { openSocket, type Socket } from './lib/socket.ts';
import { createSummary, trendStats } from './lib/test.ts';
import { signToken } from './lib/token.ts';

const settings = loadOptions({ CLIENTS: '20' });
const { clients } = settings;

const SHORT_S = 6;
const BAD_TOKENS = 3;
const STEPS = 7;

export const options = {
  scenarios: {
    people: { executor: 'per-vu-iterations', vus: clients, iterations: 1, maxDuration: '60s', gracefulStop: '5s' },
  },
  thresholds: {
    proved: [`count==${clients * STEPS}`],
    failed: ['count==0'],
    'ws_sessions{status:401}': [`count==${clients * BAD_TOKENS}`],
  },
  summaryTrendStats: trendStats,
};

export default function (): void {
  const userId = `wsfleet:load:auth:${exec.scenario.iterationInTest}`;
  expectRefusal(signToken(settings, userId, -60));
  expectRefusal(signToken(settings, userId, 3600, 'a secret that is not the one of the cluster'));
  expectRefusal(undefined);
  refresh(userId);
  expectEnd(signToken(settings, userId, SHORT_S), 4001);
  expectEnd(signToken(settings, userId, 3600), 1009, (socket) => socket.send('x'.repeat(70_000)));
  exceedRate(signToken(settings, userId, 3600));
}

export const handleSummary = createSummary(settings);

const settle = (held: boolean): void => (held ? proved : failed).add(1);

interface Handlers {
  handleEnd(code: number, opened: boolean): void;
  handleGreeting?(socket: Socket): void;
  handleFrame?(type: string, payload: Record<string, unknown>, socket: Socket): void;
}

function connect(token: string | undefined, { handleEnd, handleGreeting, handleFrame }: Handlers): void {
  const socket = openSocket({
    url: settings.url,
    token,
    forwardedFor: settings.forwarded ? `198.18.${exec.scenario.iterationInTest % 256}.1` : undefined,
    handleOpen() {},
    handleText(text) {
      const { type, payload } = JSON.parse(text) as { type: string; payload: Record<string, unknown> };
      if (type === 'connected') handleGreeting?.(socket);
      handleFrame?.(type, payload, socket);
    },
    handleEnd,
  });
}

function expectRefusal(token: string | undefined): void {
  connect(token, { handleEnd: (_code, opened) => settle(!opened) });
}

function expectEnd(token: string, wanted: number, handleGreeting: (socket: Socket) => void = () => {}): void {
  connect(token, { handleGreeting, handleEnd: (code, opened) => settle(opened && code === wanted) });
}

/** A connection that got a new token in time outlives the one that it was opened with. */
function refresh(userId: string): void {
  let refreshed = false;
  connect(signToken(settings, userId, SHORT_S), {
    handleGreeting(socket) {
      const payload = { token: signToken(settings, userId, 3600) };
      socket.send(JSON.stringify({ type: 'refresh_token', payload, timestamp: Date.now(), id: 'refresh' }));
      setTimeout(() => socket.close(1000), (SHORT_S + 3) * 1000);
    },
    handleFrame(type) {
      if (type === 'authenticated') refreshed = true;
    },
    handleEnd: (code) => settle(refreshed && code === 1000),
  });
}

/** Beyond the burst, messages are refused, with the time until the next one is taken. */
function exceedRate(token: string): void {
  let told = false;
  connect(token, {
    handleGreeting(socket) {
      for (let count = 0; count < 40; count += 1) socket.send(JSON.stringify({ type: 'ping', payload: {} }));
      setTimeout(() => socket.close(1000), 2000);
    },
    handleFrame(type, payload) {
      if (type === 'error' && payload['code'] === 'RATE_LIMITED') told = Number(payload['retryAfter']) > 0;
    },
    handleEnd: (code) => settle(told && code === 1000),
  });
}
