/** The internal listener: readiness, metrics, status, rebalance. Never reachable through the public listener. */
import express, { type Express } from 'express';
import { z } from 'zod';
import type { Instance } from '../instance.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { handleErrors, notFound } from './errors.ts';

const rebalanceBody = z.object({ connections: z.int().min(0) });

export function createInternalApp(options: { instance: Instance; metrics: Metrics; logger: Logger }): Express {
  const { instance, metrics } = options;
  const app = express();
  app.disable('x-powered-by');
  app.get('/health', (_request, response) => {
    response.json({ status: 'ok' });
  });
  app.get('/health/ready', (_request, response) => {
    const ready = instance.status().state === 'ready';
    const { draining, broker } = instance;
    response.status(ready ? 200 : 503).json({
      status: ready ? 'ready' : 'not_ready',
      draining,
      broker: broker.ready ? 'up' : 'down',
      // All instances share Redis: sending clients elsewhere would not help.
      refusing: broker.refusing,
    });
  });
  app.get('/metrics', async (_request, response) => {
    response.type(metrics.contentType).send(await metrics.text());
  });
  app.get('/status', (_request, response) => {
    response.json(instance.status());
  });
  app.post('/rebalance', express.json({ limit: '1kb' }), (request, response) => {
    const parsed = rebalanceBody.safeParse(request.body);
    if (!parsed.success) {
      response.status(400).json({ error: { code: 'INVALID_BODY', message: 'expected {"connections": n}' } });
      return;
    }
    response.status(202).json({ leaving: instance.rebalance(parsed.data.connections) });
  });
  app.use(notFound);
  app.use(handleErrors(options.logger));
  return app;
}
