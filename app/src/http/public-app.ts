/** The public listener: liveness, the demo page and the client, as tools/build-pages.ts builds them. Nothing internal. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import express, { type Express } from 'express';
import serveCompressed from 'express-static-gzip';
import type { Auth } from '../connection/auth.ts';
import type { Logger } from '../observability/logger.ts';
import { demoToken } from './demo-token.ts';
import { handleErrors, notFound } from './errors.ts';
import { securityHeaders } from './security-headers.ts';

const dist = fileURLToPath(new URL('../../dist/public', import.meta.url));
/** Named by their content, so that they never change. */
const ASSETS = /\/assets\/[^/]+$/;

/** An asset's name without its hash. */
const nameOf = (file: string) => file.replace(/-[\w-]{8}\./, '.');

function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

export function createPublicApp({ auth, demo, logger }: { auth: Auth; demo: boolean; logger: Logger }): Express {
  const files = existsSync(dist) ? readdirSync(join(dist, 'assets')) : [];
  const assets = new Map(files.map((file) => [nameOf(file), file]));
  const app = express();
  app.disable('x-powered-by');
  app.use(securityHeaders({ connectSrc: ["'self'", 'ws:', 'wss:'] }));
  app.get('/health', (_request, response) => {
    response.json({ status: 'ok' });
  });
  if (demo) app.use(demoToken(auth));
  const serve = serveCompressed(dist, {
    enableBrotli: true,
    orderPreference: ['br', 'gz'],
    serveStatic: {
      setHeaders(response, path) {
        const cached = ASSETS.test(path.replace(/\.(br|gz)$/, ''));
        response.setHeader('Cache-Control', cached ? 'public, max-age=31536000, immutable' : 'no-cache');
      },
    },
  });
  // It would answer a path that cannot be decoded by itself, in another shape.
  app.use((request, response, next) => (isDecodable(request.path) ? serve(request, response, next) : next()));
  app.get('/client/index.ts', (_request, response) => response.redirect(301, '/client/index.js'));
  // In a rolling restart the page of one version may ask an instance of the other for its assets.
  app.get('/assets/:file', (request, response, next) => {
    const current = assets.get(nameOf(request.params.file));
    if (!current) return next();
    response.set('Cache-Control', 'no-cache').sendFile(current, { root: join(dist, 'assets'), cacheControl: false });
  });
  app.use(notFound);
  app.use(handleErrors(logger));
  return app;
}
