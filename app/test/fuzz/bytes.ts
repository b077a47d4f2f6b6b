/** Bytes after the upgrade, and bytes in place of a handshake: real ones, and real ones that were changed. */
import fc from 'fast-check';
import { frame, handshakeHead } from '../harness/raw.ts';
import { messageTexts } from './messages.ts';

const payload = fc.oneof(
  messageTexts.map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
);

const anyFrame = fc
  .record({
    opcode: fc.oneof({ weight: 5, arbitrary: fc.constant(1) }, fc.nat(15)),
    payload,
    fin: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.boolean()),
    rsv: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.nat(7)),
    mask: fc.oneof({ weight: 8, arbitrary: fc.constant(true) }, fc.boolean()),
  })
  .map((options) => frame(options));

/** Replaces, removes or adds a byte here and there. */
const mutate = (bytes: fc.Arbitrary<Buffer>) =>
  fc.tuple(bytes, fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.nat(2)), { maxLength: 4 })).map(([original, changes]) => {
    let changed = Buffer.from(original);
    for (const [at, byte, how] of changes) {
      const index = changed.length === 0 ? 0 : at % changed.length;
      const rest = how === 0 ? changed.subarray(index) : changed.subarray(index + 1);
      changed = Buffer.concat([changed.subarray(0, index), how === 2 ? Buffer.alloc(0) : Buffer.from([byte]), rest]);
    }
    return changed;
  });

/** What a client sends after the handshake. */
export const frameBytes: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 3, arbitrary: anyFrame },
  { weight: 3, arbitrary: mutate(anyFrame) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
);

const headerValue = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.constantFrom(
    '',
    'websocket',
    'Upgrade',
    '13',
    '8',
    'chunked',
    '-1',
    '99999999999',
    'x'.repeat(9000),
    'a\0b',
    'wsfleet.v1',
    '🎉',
  ),
);
const name = fc.constantFrom(
  ...['Host', 'Upgrade', 'Connection', 'Sec-WebSocket-Key', 'Sec-WebSocket-Version', 'Sec-WebSocket-Protocol'],
  ...[
    'Sec-WebSocket-Extensions',
    'Authorization',
    'Origin',
    'X-Forwarded-For',
    'Content-Length',
    'Transfer-Encoding',
    'Cookie',
    'Expect',
  ],
);
const path = fc.oneof(
  fc.constantFrom(
    '/ws',
    '/',
    '/ws?token=x',
    '/ws?token=%00',
    '//ws',
    '/../ws',
    '/health',
    '/metrics',
    '/%',
    '*',
    'http://x/ws',
    '/demo/token',
  ),
  fc.webPath(),
);

/** A request that may be a handshake. */
export const requestBytes = (token: string): fc.Arbitrary<Buffer> => {
  const request = fc
    .tuple(
      fc.oneof(
        { weight: 6, arbitrary: fc.constant('GET') },
        fc.constantFrom('POST', 'PUT', 'HEAD', 'OPTIONS', 'CONNECT', 'get', 'X'),
      ),
      fc.oneof({ weight: 4, arbitrary: fc.constant('/ws') }, path),
      fc.dictionary(name, fc.option(headerValue, { nil: undefined }), { maxKeys: 3 }),
      fc.boolean(),
    )
    .map(([method, where, headers, authorized]) =>
      Buffer.from(
        handshakeHead({
          method,
          path: where,
          headers: { ...(authorized && { Authorization: `Bearer ${token}` }), ...headers },
        }),
        'latin1',
      ),
    );
  return fc.oneof({ weight: 3, arbitrary: request }, { weight: 1, arbitrary: mutate(request) });
};
