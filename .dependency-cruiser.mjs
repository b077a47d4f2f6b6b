/** Who may import whom. The rules are the architecture: docs/architecture.md says why. */

const src = '^app/src/';

/** A file or folder of app/src, and all of ours that it may import, types included. main.ts may import everything. */
const imports = {
  'config.ts': ['connection/auth-questions.ts', 'connection/verification-key.ts', 'webhooks/events.ts'],
  'room-options.ts': ['config.ts'],
  'protocol.ts': [],
  'close-codes.ts': [],
  'deadline.ts': [],
  'timer-wheel.ts': [],
  'turn-end.ts': [],
  'observability/': ['observability/'],
  'broker/': ['broker/', 'config.ts', 'observability/', 'protocol.ts'],
  'webhooks/events.ts': ['protocol.ts'],
  'webhooks/': [
    'webhooks/',
    'broker/broker.ts',
    'broker/redis-',
    'config.ts',
    'deadline.ts',
    'observability/',
    'protocol.ts',
  ],
  'revocations/': ['revocations/', 'broker/redis-', 'observability/'],
  'presence/': ['presence/', 'broker/redis-', 'config.ts', 'observability/', 'protocol.ts'],
  'connection/': [
    'connection/',
    'observability/',
    'close-codes.ts',
    'config.ts',
    'protocol.ts',
    'timer-wheel.ts',
    'turn-end.ts',
    'webhooks/webhooks.ts',
  ],
  'rooms/hub.ts': ['turn-end.ts'],
  'rooms/': [
    'rooms/',
    'broker/broker.ts',
    'config.ts',
    'connection/',
    'deadline.ts',
    'instance-calls.ts',
    'observability/',
    'presence/presence.ts',
    'protocol.ts',
    'room-options.ts',
    'turn-end.ts',
    'webhooks/webhooks.ts',
  ],
  'lifecycle/': ['lifecycle/', 'config.ts', 'connection/', 'observability/', 'timer-wheel.ts'],
  'instance.ts': [
    'broker/broker.ts',
    'config.ts',
    'connection/',
    'deadline.ts',
    'lifecycle/',
    'observability/',
    'protocol.ts',
    'rooms/',
  ],
  'instance-calls.ts': ['broker/broker.ts', 'deadline.ts'],
  'fleet.ts': ['connection/', 'instance.ts', 'instance-calls.ts', 'revocations/revocations.ts', 'rooms/'],
  'handlers/': ['handlers/', 'broker/broker.ts', 'connection/', 'observability/', 'protocol.ts', 'rooms/'],
  'http/api/': [
    'http/api/',
    'http/security-headers.ts',
    'broker/broker.ts',
    'close-codes.ts',
    'config.ts',
    'connection/rate-limiter.ts',
    'fleet.ts',
    'observability/',
    'protocol.ts',
    'revocations/revocations.ts',
    'rooms/',
  ],
  // Not its folders.
  'http/[^/]*$': ['http/', 'connection/', 'deadline.ts', 'instance.ts', 'observability/'],
  'metric-labels.ts': [
    'broker/broker.ts',
    'close-codes.ts',
    'connection/',
    'handlers/',
    'http/api/problem.ts',
    'observability/metric-definitions.ts',
    'protocol.ts',
    'webhooks/events.ts',
  ],
};

/** A package, and the only place that may import it. */
const packages = {
  redis: 'broker/redis-',
  'prom-client': 'observability/metrics.ts',
  express: 'http/',
  jsonwebtoken: 'connection/auth.ts',
  jose: 'connection/auth.ts',
  yaml: 'room-options.ts',
  'lru-cache': 'connection/auth-url.ts',
  'p-retry': 'webhooks/sender.ts',
  pino: 'observability/logger.ts',
};

const pattern = (path) => src + path.replaceAll('.', '\\.');

export default {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
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
      from: {
        path: '^app/(src|tools)/',
        pathNot: [pattern(home), '^app/tools/lib/signer\\.ts$', '^app/tools/\\w+-docs\\.ts$'],
      },
      to: { path: `node_modules/${name}/` },
    })),
    {
      name: 'operator-imports-nothing-that-it-operates',
      comment: 'make status, down and the like have to work when the code of the app does not start.',
      severity: 'error',
      from: {
        path: '^(deploy/cluster|app/tools)/',
        pathNot: '^app/tools/(\\w+-docs|conformance|lib/server-messages)\\.ts$',
      },
      to: { path: src, dependencyTypesNot: ['type-only'] },
    },
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
    exclude: { path: '/test/|\\.test\\.ts$|^app/(client/)?dist/' },
    parser: 'swc',
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.json'],
    },
  },
};
