/** Who may import whom. The rules are the architecture: docs/architecture.md says why. */

const src = '^app/src/';

/** A file or folder of app/src, and all of ours that it may import, types included. main.ts may import everything. */
const imports = {
  'hub.ts': [],
  'config.ts': [],
  'protocol.ts': [],
  'close-codes.ts': [],
  'metric-table.ts': [],
  'metrics.ts': ['metric-table.ts'],
  'label-values.ts': [
    'auth.ts',
    'broker/broker.ts',
    'close-codes.ts',
    'handlers/',
    'metric-table.ts',
    'protocol.ts',
    'upgrade.ts',
  ],
  'logger.ts': [],
  'auth.ts': [],
  'frame.ts': [],
  'timer-wheel.ts': [],
  'rate-limiter.ts': [],
  'throughput.ts': [],
  'recent-frames.ts': [],
  'filled-holes.ts': [],
  'connection.ts': ['protocol.ts', 'close-codes.ts', 'rate-limiter.ts'],
  'broker/': ['broker/', 'protocol.ts', 'logger.ts'],
  'presence/': ['presence/', 'broker/redis-link.ts', 'broker/redis-script.ts', 'protocol.ts', 'logger.ts'],
  'room-feed.ts': ['broker/broker.ts', 'filled-holes.ts', 'frame.ts', 'protocol.ts', 'recent-frames.ts'],
  'channels.ts': [
    'broker/broker.ts',
    'connection.ts',
    'frame.ts',
    'hub.ts',
    'logger.ts',
    'metrics.ts',
    'protocol.ts',
    'recent-frames.ts',
    'room-feed.ts',
    'throughput.ts',
  ],
  'roster.ts': ['broker/broker.ts', 'connection.ts', 'logger.ts', 'presence/presence.ts', 'protocol.ts'],
  'drain.ts': ['connection.ts', 'timer-wheel.ts'],
  'instance.ts': [
    'broker/broker.ts',
    'channels.ts',
    'connection.ts',
    'drain.ts',
    'hub.ts',
    'logger.ts',
    'metrics.ts',
    'protocol.ts',
    'room-feed.ts',
    'roster.ts',
    'throughput.ts',
  ],
  'handlers/': [
    'handlers/',
    'auth.ts',
    'broker/broker.ts',
    'connection.ts',
    'instance.ts',
    'logger.ts',
    'metrics.ts',
    'protocol.ts',
    'throughput.ts',
    'token-expiry.ts',
  ],
  'http/': ['http/', 'auth.ts', 'connection.ts', 'instance.ts', 'logger.ts', 'metrics.ts'],
  'upgrade.ts': ['auth.ts', 'connection.ts', 'instance.ts', 'logger.ts', 'metrics.ts', 'protocol.ts'],
  'heartbeat.ts': ['connection.ts', 'timer-wheel.ts'],
  'token-expiry.ts': ['connection.ts', 'timer-wheel.ts'],
  'shutdown.ts': ['logger.ts'],
};

/** A package, and the only place that may import it. */
const packages = {
  redis: 'broker/redis-',
  'prom-client': 'metrics.ts',
  express: 'http/',
  jsonwebtoken: 'auth.ts',
  pino: 'logger.ts',
};

const pattern = (path) => src + path.replaceAll('.', '\\.');

export default {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    // The page imports the client by the URL that it is served at.
    { name: 'no-unresolved', severity: 'error', from: { pathNot: '^app/public/' }, to: { couldNotResolve: true } },
    { name: 'nothing-imports-main', severity: 'error', from: {}, to: { path: pattern('main.ts') } },
    {
      name: 'every-file-has-its-rule',
      severity: 'error',
      from: { path: src, pathNot: ['main.ts', ...Object.keys(imports)].map(pattern) },
      to: { path: src },
    },
    ...Object.entries(imports).map(([from, to]) => ({
      name: from,
      severity: 'error',
      from: { path: pattern(from) },
      to: { path: src, ...(to.length > 0 && { pathNot: to.map(pattern) }) },
    })),
    ...Object.entries(packages).map(([name, home]) => ({
      name: `${name}-in-${home}`,
      severity: 'error',
      from: { path: '^app/(src|tools)/', pathNot: pattern(home) },
      to: { path: `node_modules/${name}/` },
    })),
    {
      name: 'client-stands-alone',
      comment: 'The browser is served the client as it stands: only types may come from elsewhere.',
      severity: 'error',
      from: { path: '^app/client/src/' },
      to: { pathNot: '^app/client/src/', dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '/test/|\\.test\\.ts$|^app/client/dist/' },
    parser: 'swc',
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.json'],
    },
  },
};
