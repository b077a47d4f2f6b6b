/** One socket of k6 as the clients need it: text frames in, one end with a code. */
import { WebSocket } from 'k6/websockets';

/** Offered in every handshake: everything is joined explicitly, and resumes. */
const SUBPROTOCOL = 'wsfleet.v1';
/** k6 tells no code when there was no close frame. */
const NO_CLOSE_FRAME = 1006;

export interface Socket {
  send(text: string): void;
  /** Not before it is open: that can block a virtual user for good. */
  close(code: number): void;
}

export interface SocketOptions {
  url: string;
  /** None: a handshake without one. */
  token: string | undefined;
  forwardedFor: string | undefined;
  handleOpen(): void;
  handleText(text: string): void;
  /** Called once; `opened` is false for a handshake that was refused. */
  handleEnd(code: number, opened: boolean): void;
}

export function openSocket(options: SocketOptions): Socket {
  const headers: Record<string, string> = { 'Sec-WebSocket-Protocol': SUBPROTOCOL };
  if (options.token !== undefined) headers['Authorization'] = `Bearer ${options.token}`;
  if (options.forwardedFor !== undefined) headers['X-Forwarded-For'] = options.forwardedFor;
  // The tag takes the place of the URL, which could carry a token.
  const socket = new WebSocket(options.url, null, { headers, tags: { name: '/ws' } });
  let opened = false;
  let ended = false;
  socket.onopen = () => {
    opened = true;
    options.handleOpen();
  };
  socket.onmessage = (event) => options.handleText(String(event?.data));
  // `close` follows, and says all there is to know.
  socket.onerror = () => {};
  socket.onclose = (event?: { code?: number }) => {
    if (ended) return;
    ended = true;
    options.handleEnd(event?.code || NO_CLOSE_FRAME, opened);
  };
  return {
    send: (text) => socket.send(text),
    close(code) {
      if (opened && !ended) socket.close(code);
    },
  };
}
