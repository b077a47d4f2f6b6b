/** Asks a service whether it is ready: undefined when it is, else what it says instead. */
import { connect } from 'node:net';

const ASK_TIMEOUT_MS = 2_000;

/** A GET that is to be answered with 2xx. */
export async function problemOfHttp(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
    const body = (await response.text()).trim();
    return response.ok ? undefined : `${url} answers ${response.status} ${body}`;
  } catch (error) {
    const { cause, message } = error as Error;
    return `${url}: ${cause instanceof Error ? cause.message : message}`;
  }
}

/** PING with AUTH, in Redis' own protocol; `-LOADING` and a wrong password come back as they are. */
export function problemOfRedis(port: number, password: string): Promise<string | undefined> {
  const encode = (...words: string[]) =>
    [`*${words.length}`, ...words.flatMap((word) => [`$${Buffer.byteLength(word)}`, word]), ''].join('\r\n');
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(encode('AUTH', password) + encode('PING')));
    const end = (problem: string | undefined) => {
      socket.destroy();
      resolve(problem);
    };
    socket.setTimeout(ASK_TIMEOUT_MS, () => end(`redis says nothing on port ${port}`));
    socket.on('error', (error) => end(error.message));
    socket.on('close', () => end(`redis hung up${answer && `: ${answer}`}`));
    socket.on('data', (data) => {
      answer += data.toString();
      if (answer.split('\r\n').length > 2) end(answer === '+OK\r\n+PONG\r\n' ? undefined : answer.trim());
    });
  });
}
