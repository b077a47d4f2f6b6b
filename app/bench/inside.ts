/**
 * Runs inside a benchmarked server, before its main.ts: changes modules as BENCH_REPLACE says, and tells its CPU time, or
 * what share of it goes into metrics.
 */
import { type Profiler, Session } from 'node:inspector/promises';
import { registerHooks } from 'node:module';

const replace = JSON.parse(process.env['BENCH_REPLACE'] ?? '{}') as Record<string, string>;

registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context);
    const [, name = ''] = /\/app\/src\/(.+)$/.exec(resolved.url) ?? [];
    const instead = context.parentURL?.includes('/app/src/') ? replace[name] : undefined;
    return instead ? { ...resolved, url: new URL(instead, import.meta.url).href } : resolved;
  },
});

const METRICS = /\/app\/src\/observability\/metrics\.ts$|\/prom-client\//;
const SAMPLE_EVERY = 100; // microseconds

const session = new Session();
session.connect();

const answers: Readonly<Record<string, () => unknown>> = {
  cpu() {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  async profile() {
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_EVERY });
    await session.post('Profiler.start');
    return true;
  },
  async share() {
    return shareOfMetrics((await session.post('Profiler.stop')).profile);
  },
};

process.on('message', async (question: string) => process.send?.(await answers[question]?.()));

/** Of the samples in which something ran: those with a function of the metrics anywhere in their stack. */
function shareOfMetrics({ nodes, samples = [] }: Profiler.Profile): { share: number; samples: number } {
  const inMetrics = new Set<number>();
  const idle = new Set(nodes.filter(({ callFrame }) => callFrame.functionName === '(idle)').map(({ id }) => id));
  // Parents come before their children.
  for (const { id, callFrame } of nodes) if (METRICS.test(callFrame.url)) inMetrics.add(id);
  for (const { id, children = [] } of nodes) {
    if (inMetrics.has(id)) for (const child of children) inMetrics.add(child);
  }
  const busy = samples.filter((id) => !idle.has(id));
  return { share: busy.filter((id) => inMetrics.has(id)).length / busy.length, samples: busy.length };
}
