/** The server's own counters against what the clients saw. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Result } from '../report/result.ts';
import { increase, longestZeroAtMost, type Prometheus, scrapeInterval } from './prometheus.ts';
import type { Summary } from './summary-file.ts';

/** So long an instance that is not restarted may be unable to take connections, in seconds. */
const UNREADY_S = 5;
/** Scrapes of this long before the end show the interval between them, in seconds. */
const RECENT_S = 600;

export interface Run {
  summary: Summary;
  prometheus: Prometheus | undefined;
  /** ms since the epoch */
  startedAt: number;
  seconds: number;
  restarts: Result['restarts'];
  instances: number;
  /** Somebody else's cluster. What is restarted there is not known, nor what its instances took with them: that is not judged. */
  external: boolean;
}

/** @returns also what is to be said of what could not be compared */
export async function compareWithServer(run: Run): Promise<{ rows: Result['server']; notes: string[] }> {
  const rows: Result['server'] = [];
  const notes: string[] = [];
  const { summary, prometheus } = run;
  const count = (name: string) => summary.metrics[name]?.values['count'] ?? 0;

  // The rooms' own numbers are exact, whatever was restarted; but clients that were cut short do not tell them.
  const [clients, accounted] = [Number(summary.shown['CLIENTS']), count('accounted')];
  if (count('published') > 0 && accounted < clients) {
    notes.push(
      `${accounted} of ${clients} clients came to the end: what the others waited for is not counted as lost, and what the rooms stored is not compared.`,
    );
  } else if (count('published') > 0) {
    const [server, acknowledged] = [count('stored'), count('acknowledged')];
    const name = 'messages stored in rooms (their offsets)';
    rows.push({ name, server, clients: acknowledged, ok: server === acknowledged });
  }
  if (!prometheus) return { rows, notes };
  try {
    rows.push(...(await compareCounters(run, prometheus, count)));
  } catch (error) {
    const { message, cause } = error as Error;
    const why = (cause as NodeJS.ErrnoException | undefined)?.code ?? message;
    notes.push(`The server's counters are not compared: Prometheus did not answer (${why}).`);
  }
  return { rows, notes };
}

async function compareCounters(
  { startedAt, seconds, restarts, instances, external }: Run,
  prometheus: Prometheus,
  count: (name: string) => number,
): Promise<Result['server']> {
  const rows: Result['server'] = [];
  const now = () => Date.now() / 1000;
  const interval = scrapeInterval(await prometheus.samples('ws_messages_published_total', now() - RECENT_S, now()));
  // The last scrape has to be waited for.
  await delay((interval + 1) * 1000);
  const [begin, end] = [startedAt / 1000, now()];

  // An instance takes with it what it counted after its last scrape; others than these clients may have been there.
  const allowance = (clients: number) => (restarts.length * interval * clients) / Math.max(1, seconds * instances);
  const compare = async (name: string, counters: string[], clients: number) => {
    const series = counters.map((counter) => prometheus.samples(counter, begin - 2 * interval, end));
    const server = Math.round(increase((await Promise.all(series)).flat()));
    rows.push({ name, server, clients, ok: external ? null : server >= Math.floor(clients - 2 * allowance(clients)) });
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
  const ready = await prometheus.samples('ws_ready', begin, end);
  if (restarts.length === 0 && !external && ready.length > 0) {
    const server = Math.round(longestZeroAtMost(ready));
    // Scrapes that are further apart than that cannot say more than that all found it ready.
    const ok = server <= Math.max(UNREADY_S, Math.round(interval));
    rows.push({ name: 'ready false for at most, in s', server, clients: UNREADY_S, ok });
  }
  return rows;
}
