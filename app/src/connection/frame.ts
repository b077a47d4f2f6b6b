/** WebSocket framing (RFC 6455, section 5.2), for text that is framed once and written to many sockets. */

/** One unmasked, final text frame with `body` and `end` (ASCII). Copies the body, which may be a slice of a read buffer. */
export function encodeTextFrame(body: Uint8Array, end = ''): Buffer {
  const length = body.length + end.length;
  const head = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(head + length);
  frame[0] = 0x81;
  if (head === 2) {
    frame[1] = length;
  } else if (head === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.set(body, head);
  frame.write(end, head + body.length, 'latin1');
  return frame;
}
