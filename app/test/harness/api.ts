/** Requests to the server API of an app that was started with API_KEYS and API_PORT=0. */
import type { App } from './app.ts';

export interface Reply {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: as the specification says, which the tests check
  json: any;
}

export async function call(
  app: App,
  method: string,
  path: string,
  options: { key?: string; body?: unknown; text?: string; headers?: Record<string, string> } = {},
): Promise<Reply> {
  const port = app.lines.find(({ event }) => event === 'listening')?.['apiPort'];
  const { key, body, text = body === undefined ? undefined : JSON.stringify(body), headers } = options;
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: {
      ...(key && { Authorization: `Bearer ${key}` }),
      ...(text !== undefined && { 'Content-Type': 'application/json' }),
      ...headers,
    },
    ...(text !== undefined && { body: text }),
  });
  return { status: response.status, headers: response.headers, json: await response.json() };
}
