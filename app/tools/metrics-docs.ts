/**
 * Writes docs/metrics.md out of the table that the app makes its metrics from:
 *   npm run metrics-docs
 */
import { writeFileSync } from 'node:fs';
import { metricLabels } from '../src/metric-labels.ts';
import { type MetricRow, metricDefinitions } from '../src/observability/metric-definitions.ts';
import { BUCKETS } from '../src/observability/metrics.ts';

export const file = new URL('../../docs/metrics.md', import.meta.url);

/** Name, type, unit, label, what it is, what is normal. */
type Row = readonly string[];
const rowsOf = (text: string): Row[] =>
  text
    .trim()
    .split('\n')
    .map((row) => row.split('|').map((cell) => cell.trim()));

/** Of Node and the process, as prom-client names them: those that the rules and dashboards use. */
export const ofNode = rowsOf(`
nodejs_eventloop_lag_p99_seconds | gauge     | seconds | | the event loop’s delay since the last scrape | below 0.05; 0.01 is its resolution
nodejs_heap_size_used_bytes      | gauge     | bytes   | | the JavaScript heap in use | a saw tooth on a level floor
nodejs_gc_duration_seconds       | histogram | seconds | kind | garbage collections | major below 0.1
process_resident_memory_bytes    | gauge     | bytes   | | memory of the process | about 180 MB, and 13 KiB a connection
process_cpu_seconds_total        | counter   | seconds | | CPU time | below 0.7 a second: one core is all that an instance uses
process_open_fds                 | gauge     | files   | | open files; each connection is one | well below \`process_max_fds\`
`);

/** Of the exporters: the same. */
export const around = rowsOf(`
redis_up                       | gauge   |             | | Redis answers its exporter | 1
redis_memory_used_bytes        | gauge   | bytes       | | memory of Redis | well below \`redis_memory_max_bytes\`: when it is full, publishes are refused
redis_connected_clients        | gauge   | connections | | connections to Redis | two for each instance, one for the exporter
redis_commands_processed_total | counter | commands    | | commands | follows the messages published, and the audits
nginx_up                       | gauge   |             | | NGINX answers its exporter | 1
nginx_connections_active       | gauge   | connections | | connections of clients to NGINX | about \`ws_connections\`, summed over the instances
nginx_http_requests_total      | counter | requests    | | requests, handshakes among them | follows the connections opened
`);

export function renderMetrics(): string {
  const line = (...cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const table = (rows: readonly Row[]) =>
    [
      line('name', 'type', 'unit', 'label', 'what it is', 'what is normal'),
      '|---|---|---|---|---|---|',
      ...rows.map(([name = '', type = '', unit = '', label = '', ...words]) =>
        line(`\`${name}\``, type, unit, label && `\`${label}\``, ...words),
      ),
    ].join('\n');
  const rows = (Object.values(metricDefinitions) as MetricRow[]).map(
    ({ name, type, unit, label, help, normal }): Row => [name, type, unit, label?.name ?? '', help, normal],
  );
  const labels = (Object.values(metricDefinitions) as MetricRow[]).flatMap(({ name, type, label }) => {
    if (!label) return [];
    const values = [...metricLabels[label.values], ...(type === 'counter' ? ['other'] : [])];
    return [line(`\`${name}\``, `\`${label.name}\``, values.join(', '))];
  });
  return `# Metrics

Made from \`app/src/observability/metric-definitions.ts\` by \`npm run metrics-docs\`; a test fails when this page, the table and what an instance
exposes are not the same. Each instance shows them at \`/metrics\` on its internal port; Prometheus adds \`instance\` (app1, app2, ...) and \`job\`.

${table(rows)}

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

${table(ofNode)}

Left out are those with a series for every kind of handle, request or resource that happens to be open.

## Of Redis and NGINX

Their exporters’ own, of which these are looked at:

${table(around)}
`;
}

if (import.meta.main) writeFileSync(file, renderMetrics());
