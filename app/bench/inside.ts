/** Runs inside a benchmarked server, before its main.ts: changes modules as BENCH_REPLACE says, and tells its CPU time. */
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

process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.(user + system);
});
