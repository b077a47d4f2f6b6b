/**
 * The server API: how other back-ends publish, read and manage. It has a listener of its own, which opens only when
 * `API_KEYS` is set. Every operation holds over the whole cluster, whichever instance is asked.
 */
import { fileURLToPath } from 'node:url';
import express, { type ErrorRequestHandler, type Express, type Request, type Response } from 'express';
import serveCompressed from 'express-static-gzip';
import type { z } from 'zod';
import { BrokerUnavailable } from '../../broker/broker.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { securityHeaders } from '../security-headers.ts';
import type { Caller, createKeys } from './keys.ts';
import type { AnyOperation } from './operation.ts';
import { Problem, type ProblemDetails } from './problem.ts';
import { id as idSchema } from './schemas.ts';
import { unavailable } from './unavailable.ts';

/** A batch of a thousand messages of 4 KB, and what JSON adds to them. */
const MAX_BODY = '8mb';

/** The page that shows the specification, as tools/build-pages.ts builds it. */
const page = fileURLToPath(new URL('../../../dist/api', import.meta.url));

export function createApiApp(options: {
  findCaller: ReturnType<typeof createKeys>;
  operations: readonly AnyOperation[];
  /** The specification, made when it is asked for. */
  specification(): Promise<object>;
  metrics: Pick<Metrics, 'apiRequests'>;
  logger: Logger;
}): Express {
  const { operations, metrics, logger } = options;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  // Swagger UI sets styles in its markup.
  app.use(securityHeaders({ styleSrc: ["'self'", "'unsafe-inline'"] }));
  app.get('/health', (_request, response) => void response.json({ status: 'ok' }));
  app.get('/openapi.json', async (_request, response) => void response.json(await options.specification()));

  app.use(serveCompressed(page, { enableBrotli: true, orderPreference: ['br', 'gz'] }));

  const authenticate = (request: Request, response: Response, next: () => void) => {
    const caller = options.findCaller(request.headers.authorization);
    if (!caller) throw new Problem(401, 'UNAUTHORIZED', 'a key is required: Authorization: Bearer SECRET (API_KEYS)');
    response.locals['caller'] = caller;
    next();
  };
  app.use('/v1', authenticate);

  const pathOf = (path: string) => path.replaceAll(/\{(\w+)\}/g, ':$1');
  for (const operation of operations) {
    const guard = (_request: Request, response: Response, next: () => void) => {
      const { name, scopes } = response.locals['caller'] as Caller;
      if (!scopes.has(operation.scope)) {
        throw new Problem(403, 'FORBIDDEN', `the key ${name} lacks the scope ${operation.scope}`, {
          scope: operation.scope,
        });
      }
      next();
    };
    const parse = operation.body ? [requireJson, express.json({ limit: MAX_BODY, strict: false })] : [];
    app[operation.method](pathOf(operation.path), guard, ...parse, async (request, response) => {
      const caller = response.locals['caller'] as Caller;
      const answer = await operation.handle({
        caller,
        params: check(operation.params, request.params, 'the path'),
        query: check(operation.query, request.query, 'the query'),
        body: check(operation.body, readBody(operation, request), 'the body'),
      });
      if (operation.scope === 'manage' && operation.method !== 'get') {
        logger.info(
          { event: 'api_managed', key: caller.name, operation: operation.id },
          'the server API was used to manage',
        );
      }
      metrics.apiRequests.inc('OK');
      response.set('Cache-Control', 'no-store').json(answer);
    });
  }
  for (const path of new Set(operations.map((operation) => operation.path))) {
    const methods = operations.filter((operation) => operation.path === path).map(({ method }) => method.toUpperCase());
    app.all(pathOf(path), (request, response) => {
      response.set('Allow', methods.join(', '));
      throw new Problem(405, 'METHOD_NOT_ALLOWED', `${request.method} is not allowed; ${methods.join(' and ')} is`);
    });
  }
  app.use(() => {
    throw new Problem(404, 'NOT_FOUND', 'there is no such operation; /openapi.json lists them');
  });
  app.use(answerProblem(metrics, logger));
  return app;
}

function requireJson(request: Request, _response: Response, next: () => void): void {
  if (!request.is('application/json')) {
    throw new Problem(415, 'UNSUPPORTED_MEDIA_TYPE', 'expected Content-Type: application/json');
  }
  next();
}

/** The body, with the Idempotency-Key as its `id`. */
function readBody({ takesIdempotencyKey }: AnyOperation, request: Request): unknown {
  const { body } = request as { body: unknown };
  const key = request.headers['idempotency-key'];
  if (!takesIdempotencyKey || key === undefined) return body;
  const refuse = (message: string) => {
    throw new Problem(400, 'INVALID_REQUEST', `Idempotency-Key: ${message}`, {
      errors: [{ field: 'Idempotency-Key', message }],
    });
  };
  if (!idSchema.safeParse(key).success) refuse('expected 1 to 128 characters');
  if (typeof body !== 'object' || body === null) return body;
  if (Array.isArray(body)) return refuse('the messages of a batch have an id each');
  if ('id' in body && body.id !== key) refuse('differs from id');
  return { ...body, id: key };
}

function check(schema: z.ZodType | undefined, value: unknown, what: string): unknown {
  if (!schema) return undefined;
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.slice(0, 10).map(describeIssue);
  const [first] = errors;
  throw new Problem(400, 'INVALID_REQUEST', `${what} is not valid: ${first?.field}: ${first?.message}`, { errors });
}

/** Of a union, the issue of the alternative that came closest: of the same type, and with the fewest issues. */
function describeIssue(issue: z.core.$ZodIssue): { field: string; message: string } {
  const path = issue.path.join('.');
  if (issue.code === 'invalid_union' && issue.errors.length > 0 && issue.message === 'Invalid input') {
    const isOtherType = ([first]: z.core.$ZodIssue[]) => first?.code === 'invalid_type' && first.path.length === 0;
    const [closest = []] = issue.errors.toSorted(
      (a, b) => Number(isOtherType(a)) - Number(isOtherType(b)) || a.length - b.length,
    );
    const [inner] = closest;
    if (inner) {
      const { field, message } = describeIssue(inner);
      return { field: [path, field === 'request' ? '' : field].filter(Boolean).join('.') || 'request', message };
    }
  }
  return { field: path || 'request', message: issue.message };
}

function answerProblem(metrics: Pick<Metrics, 'apiRequests'>, logger: Logger): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) return next(error);
    const { details, retryAfter } = toProblem(error, logger);
    metrics.apiRequests.inc(details.code);
    if (details.status === 401) response.set('WWW-Authenticate', 'Bearer');
    if (retryAfter !== undefined) response.set('Retry-After', String(retryAfter));
    const caller = response.locals['caller'] as Caller | undefined;
    logger.debug(
      { event: 'api_refused', key: caller?.name, code: details.code },
      'refused a request to the server API',
    );
    response.status(details.status).type('application/problem+json').send(JSON.stringify(details));
  };
}

function toProblem(error: unknown, logger: Logger): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof BrokerUnavailable) return unavailable(error);
  // Of the body parser and the router.
  const { status = 500, type = '' } = error as { status?: number; type?: string };
  const byType: Record<string, [413 | 415 | 400, ProblemDetails['code'], string]> = {
    'entity.too.large': [413, 'BODY_TOO_LARGE', `the body is larger than ${MAX_BODY}`],
    'entity.parse.failed': [400, 'INVALID_JSON', 'the body is not valid JSON'],
    'encoding.unsupported': [415, 'UNSUPPORTED_MEDIA_TYPE', 'this Content-Encoding is not supported'],
    'charset.unsupported': [415, 'UNSUPPORTED_MEDIA_TYPE', 'this charset is not supported'],
  };
  const known = byType[type];
  if (known) return new Problem(...known);
  if (status >= 400 && status < 500) return new Problem(400, 'INVALID_REQUEST', 'the request cannot be read');
  logger.error({ event: 'api_failed', err: error }, 'an operation of the server API threw');
  return new Problem(500, 'INTERNAL', 'internal error');
}
