/** As much of Redis' protocol (RESP 2) as it takes to lose single messages of a subscriber link. */

/** Where the reply that begins at `at` ends; undefined when it is not all there. */
function endOf(buffer: Buffer, at: number): number | undefined {
  const lineEnd = buffer.indexOf('\r\n', at);
  if (lineEnd < 0) return undefined;
  const kind = buffer.toString('latin1', at, at + 1);
  const count = Number(buffer.toString('latin1', at + 1, lineEnd));
  let end: number | undefined = lineEnd + 2;
  if (kind === '$' && count >= 0) {
    end += count + 2;
    return end <= buffer.length ? end : undefined;
  }
  if (kind === '*') for (let i = 0; i < count && end !== undefined; i += 1) end = endOf(buffer, end);
  return end;
}

/** A filter that passes replies on but the channel messages for which `lose` is true. */
export function losing(lose: (message: string) => boolean): (chunk: Buffer) => Buffer {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    const kept: Buffer[] = [];
    for (let end = endOf(rest, 0); end !== undefined; end = endOf(rest, 0)) {
      const reply = rest.subarray(0, end);
      rest = rest.subarray(end);
      if (!reply.toString('latin1', 0, 20).startsWith('*3\r\n$7\r\nmessage') || !lose(reply.toString()))
        kept.push(reply);
    }
    return Buffer.concat(kept);
  };
}
