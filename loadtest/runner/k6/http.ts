/** `k6/http`: asyncRequest, which is what a script with an event loop can use. */
import { type Vu, vuOf } from '../vu.ts';

const vu: Vu = vuOf(import.meta.url);

interface Response {
  status: number;
  body: string;
  error: string;
  json(): unknown;
}

/** As k6, resolves to a response with status 0 when there was none. */
export async function asyncRequest(
  method: string,
  url: string,
  body: string | null = null,
  params: { headers?: Record<string, string> } = {},
): Promise<Response> {
  const ended = new AbortController();
  const handle = vu.hold(() => ended.abort());
  try {
    const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(60_000)]);
    const response = await fetch(url, { method, body, headers: params.headers ?? {}, signal });
    const text = await response.text();
    return { status: response.status, body: text, error: '', json: () => JSON.parse(text) as unknown };
  } catch (error) {
    return { status: 0, body: '', error: String(error), json: () => undefined };
  } finally {
    // Whoever awaits this goes on first.
    setImmediate(() => handle.release());
  }
}

export default { asyncRequest };
