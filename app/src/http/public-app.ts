/** What the public listener shows: liveness, the demo page and the client. Nothing internal. */
import { fileURLToPath } from 'node:url';
import express, { type Express } from 'express';
import helmet from 'helmet';
import type { Auth } from '../connection/auth.ts';
import type { Logger } from '../observability/logger.ts';
import { demoToken } from './demo-token.ts';
import { handleErrors, notFound } from './errors.ts';
import { serveTypeScript } from './typescript.ts';

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export function createPublicApp({ auth, demo, logger }: { auth: Auth; demo: boolean; logger: Logger }): Express {
  const app = express();
  app.disable('x-powered-by');
  app.use(
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          defaultSrc: ["'self'"],
          connectSrc: ["'self'", 'ws:', 'wss:'],
          imgSrc: ["'self'", 'data:'],
          objectSrc: ["'none'"],
          baseUri: ["'none'"],
          frameAncestors: ["'none'"],
        },
      },
      // TLS ends at NGINX, which says it where it is true.
      strictTransportSecurity: false,
    }),
  );
  app.get('/health', (_request, response) => {
    response.json({ status: 'ok' });
  });
  if (demo) app.use(demoToken(auth));
  // Before the static files, which would send .ts as a video.
  app.use(serveTypeScript(folder('../../public')));
  app.use(express.static(folder('../../public'), { index: 'index.html', cacheControl: false }));
  app.use('/client', serveTypeScript(folder('../../client/src')));
  app.use(notFound);
  app.use(handleErrors(logger));
  return app;
}
