/** Who may import whom. The rules are the architecture: docs/architecture.md says why. */

const src = '^app/src/';
const only = (name, module, allowed) => ({
  name,
  severity: 'error',
  from: { path: '^app/(src|tools)/', pathNot: allowed },
  to: { path: module },
});
/** `from` may import nothing of ours but what `to` matches; types too. */
const may = (name, from, to) => ({
  name,
  severity: 'error',
  from: { path: from },
  to: { path: src, ...(to && { pathNot: to }) },
});

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

    only('redis-behind-the-broker', 'node_modules/redis/', `${src}broker/redis-`),
    only('prom-client-in-metrics', 'node_modules/prom-client/', `${src}metrics\\.ts$`),
    only('express-in-http', 'node_modules/express/', `${src}http/`),
    only('jsonwebtoken-in-auth', 'node_modules/jsonwebtoken/', `${src}auth\\.ts$`),
    only('pino-in-logger', 'node_modules/pino', `${src}logger\\.ts$`),

    may(
      'leaves-import-nothing-of-ours',
      `${src}(hub|config|protocol|close-codes|metrics|logger|frame|timer-wheel|rate-limiter|throughput|auth)\\.ts$`,
    ),
    may('connection', `${src}connection\\.ts$`, `${src}(protocol|close-codes|rate-limiter)\\.ts$`),
    may(
      'instance',
      `${src}instance\\.ts$`,
      `${src}(hub|protocol|connection|frame|timer-wheel|throughput|metrics|logger|broker/broker|presence/presence)\\.ts$`,
    ),
    may('broker', `${src}broker/`, `${src}(broker/|protocol\\.ts$|logger\\.ts$)`),
    may('presence', `${src}presence/`, `${src}(presence/|broker/redis-link\\.ts$|protocol\\.ts$|logger\\.ts$)`),
    may(
      'handlers',
      `${src}handlers/`,
      `${src}(handlers/|(instance|connection|protocol|auth|token-expiry|metrics|throughput|logger|broker/broker)\\.ts$)`,
    ),
    may('http', `${src}http/`, `${src}(http/|(instance|connection|auth|metrics|logger)\\.ts$)`),
    may('upgrade', `${src}upgrade\\.ts$`, `${src}(instance|connection|protocol|auth|metrics|logger)\\.ts$`),
    may('timed', `${src}(heartbeat|token-expiry)\\.ts$`, `${src}(connection|timer-wheel)\\.ts$`),
    may('shutdown', `${src}shutdown\\.ts$`, `${src}logger\\.ts$`),
    {
      name: 'nothing-imports-main',
      severity: 'error',
      from: {},
      to: { path: `${src}main\\.ts$` },
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
    exclude: { path: '/test/|\\.test\\.ts$' },
    parser: 'swc',
    tsPreCompilationDeps: true,
    exoticRequireStrings: [],
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.json'],
    },
  },
};
