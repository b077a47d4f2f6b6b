/** The specification of the server API (OpenAPI 3.1), made from the schemas that check its requests. */
import type { createDocument, ZodOpenApiOperationObject } from 'zod-openapi';
import type { AnyOperation } from './operation.ts';
import { problem } from './schemas.ts';

const problems = {
  400: 'The request is not valid',
  401: 'No key, or an unknown one',
  403: 'The key lacks a scope',
  404: 'There is no such thing',
  429: 'Too many messages; Retry-After says when to try again',
  503: 'Redis or an instance cannot be reached; Retry-After says when to try again',
};

export async function describeApi(operations: readonly AnyOperation[], version: string): Promise<object> {
  // Loaded on demand: few ask for it.
  const { createDocument: create } = (await import('zod-openapi')) as { createDocument: typeof createDocument };
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const operation of operations) {
    paths[operation.path] = { ...paths[operation.path], [operation.method]: describe(operation) };
  }
  return create({
    openapi: '3.1.1',
    info: {
      title: 'wsfleet server API',
      version,
      description:
        'How other back-ends publish, read and manage. Every operation holds over the whole cluster, whichever instance is asked. A message that is published twice with the same id is stored once: after a lost answer, 429 or any 5xx, send it again.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ key: [] }],
    paths,
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'A secret of API_KEYS' } },
    },
  });
}

function describe(operation: AnyOperation): ZodOpenApiOperationObject {
  const { id, summary, scope, params, query, body, answer, takesIdempotencyKey } = operation;
  return {
    operationId: id,
    summary,
    description: `Needs the scope \`${scope}\`.`,
    requestParams: {
      ...(params && { path: params }),
      ...(query && { query }),
    } as NonNullable<ZodOpenApiOperationObject['requestParams']>,
    ...(takesIdempotencyKey && {
      parameters: [
        {
          in: 'header' as const,
          name: 'Idempotency-Key',
          description: 'Takes the place of `id` in the body',
          schema: { type: 'string' as const, minLength: 1, maxLength: 128 },
        },
      ],
    }),
    ...(body && { requestBody: { required: true, content: { 'application/json': { schema: body } } } }),
    responses: {
      200: { description: 'Done', content: { 'application/json': { schema: answer } } },
      ...Object.fromEntries(
        Object.entries(problems).map(([status, description]) => [
          status,
          { description, content: { 'application/problem+json': { schema: problem } } },
        ]),
      ),
    },
  };
}
