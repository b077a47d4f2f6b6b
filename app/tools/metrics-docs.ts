/**
 * Writes docs/metrics.md out of the table that the app makes its metrics from:
 *   npm run metrics-docs
 */
import { writeFileSync } from 'node:fs';
import { labelValues } from '../src/label-values.ts';
import { type MetricRow, metricTable } from '../src/metric-table.ts';
import { BUCKETS } from '../src/metrics.ts';

export const file = new URL('../../docs/metrics.md', import.meta.url);

/** Of Node and the process, as prom-client names them: those that the rules and dashboards use. */
const ofNode = [
  [
    'nodejs_eventloop_lag_p99_seconds',
    'the event loop’s delay since the last scrape',
    'below 0.05; 0.01 is its resolution',
  ],
  ['nodejs_heap_size_used_bytes', 'the JavaScript heap in use', 'a saw tooth on a level floor'],
  ['nodejs_gc_duration_seconds', 'garbage collections, by `kind`', 'major below 0.1'],
  ['process_resident_memory_bytes', 'memory of the process', 'about 170 MB, and 8 KiB a connection'],
  ['process_cpu_seconds_total', 'CPU time', 'below 0.7 a second: one core is all that an instance uses'],
  ['process_open_fds', 'open files; each connection is one', 'well below `process_max_fds`'],
];

/** Of the exporters: the same. */
const around = [
  ['redis_up', 'Redis answers its exporter', '1'],
  [
    'redis_memory_used_bytes',
    'memory of Redis',
    'well below `redis_memory_max_bytes`: when it is full, publishes are refused',
  ],
  ['redis_connected_clients', 'connections to Redis', 'two for each instance, one for the exporter'],
  ['redis_commands_processed_total', 'commands', 'follows the messages published, and the audits'],
  ['nginx_up', 'NGINX answers its exporter', '1'],
  [
    'nginx_connections_active',
    'connections of NGINX, on both sides',
    'twice `ws_connections`, summed over the instances',
  ],
  ['nginx_http_requests_total', 'requests, handshakes among them', 'follows the connections opened'],
];

export function renderMetrics(): string {
  const line = (...cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const others = (list: readonly string[][]) =>
    list.map(([name = '', help = '', normal = '']) => line(`\`${name}\``, help, normal)).join('\n');
  const rows = (Object.values(metricTable) as MetricRow[]).map(({ name, type, unit, label, help, normal }) =>
    line(`\`${name}\``, type, unit, label ? `\`${label.name}\`` : '', help, normal),
  );
  const labels = (Object.values(metricTable) as MetricRow[]).flatMap(({ name, type, label }) => {
    if (!label) return [];
    const values = [...labelValues[label.values], ...(type === 'counter' ? ['other'] : [])];
    return [line(`\`${name}\``, `\`${label.name}\``, values.join(', '))];
  });
  return `# Metrics

Made from \`app/src/metric-table.ts\` by \`npm run metrics-docs\`; a test fails when this page, the table and what an instance
exposes are not the same. Each instance shows them at \`/metrics\` on its internal port; Prometheus adds \`instance\` (app1, app2, ...) and \`job\`.

${line('name', 'type', 'unit', 'label', 'what it is', 'what is normal')}
|---|---|---|---|---|---|
${rows.join('\n')}

Histograms have the buckets ${BUCKETS.join(', ')} seconds.

\`ws_delivery_latency_seconds\` compares two instances’ clocks: the publisher’s instance writes the time into the message, the receiving one
subtracts it from its own. On one machine that is exact; on several it is as good as NTP, and a negative difference counts as 0.

## Labels

All series are there from the start, at 0, and none is added later: what the code does not know counts as \`other\`.

${line('metric', 'label', 'values')}
|---|---|---|
${labels.join('\n')}

## Of Node and the process

prom-client’s own, of which these are looked at:

${line('name', 'what it is', 'what is normal')}
|---|---|---|
${others(ofNode)}

Left out are those with a series for every kind of handle, request or resource that happens to be open.

## Of Redis and NGINX

Their exporters’ own, of which these are looked at:

${line('name', 'what it is', 'what is normal')}
|---|---|---|
${others(around)}
`;
}

if (import.meta.main) writeFileSync(file, renderMetrics());
