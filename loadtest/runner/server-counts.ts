/** The server's own counters against what the clients saw. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Result } from '../report/result.ts';
import type { Summary } from './assemble.ts';
import { increase, longestZero, type Prometheus } from './prometheus.ts';

/** Prometheus scrapes this often (deploy/prometheus), in seconds; the last scrape has to be waited for. */
const SCRAPE_S = 5;
/** So long an instance that is not restarted may be unable to take connections, in seconds. */
const UNREADY_S = 5;

export async function compareWithServer(run: {
  summary: Summary;
  prometheus: Prometheus | undefined;
  /** ms since the epoch */
  startedAt: number;
  seconds: number;
  restarts: Result['restarts'];
  instances: number;
}): Promise<Result['server']> {
  const { summary, prometheus, seconds, restarts, instances } = run;
  const count = (name: string) => summary.metrics[name]?.values['count'] ?? 0;

  // The rooms' own numbers are exact, whatever was restarted.
  const rows: Result['server'] = [];
  if (count('stored') > 0 || count('acknowledged') > 0) {
    const [server, clients] = [count('stored'), count('acknowledged')];
    rows.push({ name: 'messages stored in rooms (their offsets)', server, clients, ok: server === clients });
  }
  if (!prometheus) return rows;

  await delay((SCRAPE_S + 1) * 1000);
  const from = run.startedAt / 1000 - 2 * SCRAPE_S;
  const to = Date.now() / 1000;
  // An instance takes with it what it counted after its last scrape; others than these clients may have been there.
  const allowance = (clients: number) => (restarts.length * SCRAPE_S * clients) / Math.max(1, seconds * instances);
  const compare = async (name: string, counters: string[], clients: number) => {
    const series = await Promise.all(counters.map((counter) => prometheus.samples(counter, from, to)));
    const server = Math.round(increase(series.flat()));
    rows.push({ name, server, clients, ok: server >= Math.floor(clients - 2 * allowance(clients)) });
  };
  await compare('messages published', ['ws_messages_published_total'], count('acknowledged'));
  await compare(
    'messages delivered and replayed',
    ['ws_messages_delivered_total', 'ws_messages_replayed_total'],
    count('deliveries'),
  );
  await compare('connections opened', ['ws_connections_opened_total'], count('opened'));
  const slow = count('reconnects{scenario:slow}');
  if (slow > 0) await compare('slow readers let go', ['ws_connections_closed_total{code="4008"}'], slow);
  if (restarts.length === 0) {
    const states = await Promise.all(
      ['up{job="app"}', 'ws_broker_up'].map((name) => prometheus.samples(name, from, to)),
    );
    const longest = longestZero(states.flat());
    rows.push({ name: 'longest time unready, in s', server: longest, clients: UNREADY_S, ok: longest <= UNREADY_S });
  }
  return rows;
}
