/**
 * Bad input, and what it is answered: frames, tokens, handshakes, HTTP requests. Each row sends its input to a running
 * app and says what came back in one line, which the test compares with `answer`, and docs/bad-input.md shows.
 */
import { generateKeyPairSync } from 'node:crypto';
import jwt from 'jsonwebtoken';
import type { App } from './app.ts';
import { connect, type Greeted } from './client.ts';
import { frame, handshakeHead, openRaw, openRawWebSocket } from './raw.ts';
import { SECRET, tokenFor } from './tokens.ts';

export interface Apps {
  /** DEMO=true and no limit that is reached by accident. */
  open: App;
  /** Low limits, DEMO=false, an issuer. */
  strict: App;
  /** One connection, which is taken. */
  full: App;
}

export interface Row {
  input: string;
  answer: string;
  send(apps: Apps): Promise<string>;
}

export const strictEnv = {
  JWT_ISSUER: 'https://issuer.example',
  MAX_ROOMS_PER_CONNECTION: '2',
  RATE_LIMIT_PER_MINUTE: '60',
  RATE_LIMIT_BURST: '5',
  RATE_LIMIT_ABUSE: '10',
};

const issued = (claims: object = {}) =>
  jwt.sign({ name: 'x', iss: strictEnv.JWT_ISSUER, sub: 'u-x', ...claims }, SECRET, { expiresIn: '1h' });

// --- Frames

/** The error and its field, or the type of another answer; `then` what became of the connection. */
async function answerTo(client: Greeted, frames: (object | string | Buffer)[]): Promise<string> {
  const before = client.received.length;
  const answered = new Promise<(typeof client.received)[number]>((resolve) => {
    const wait = frames.length;
    client.socket.on('message', () => {
      const answers = client.received.slice(before).filter(({ type }) => type !== 'message');
      const last = answers[wait - 1];
      if (last) resolve(last);
    });
  });
  for (const each of frames) client.send(each);
  const answer = await answered;
  const stays = (await client.request('ping')).type === 'pong' ? '' : ', and no ping after it';
  if (answer.type !== 'error') return answer.type + stays;
  const { code, field, retryAfter } = answer.payload;
  return `error ${code}${field ? `, field ${field}` : ''}${retryAfter ? ', with retryAfter' : ''}${stays}`;
}

/** The last of `frames` is answered with `answer`; the ones before it are answered too. */
const says = (input: string, answer: string, ...frames: (object | string | Buffer)[]): Row => ({
  input,
  answer,
  async send({ open }) {
    await using client = await connect(open, { as: 'bad' });
    return await answerTo(client, frames);
  },
});

const closes = (input: string, code: number, ...frames: Buffer[]): Row => ({
  input,
  answer: `close ${code}`,
  async send({ open }) {
    using client = await openRawWebSocket(open.port, tokenFor('bad'));
    client.write(Buffer.concat(frames));
    return `close ${await client.closeCode()}`;
  },
});

const text = (payload: string) => frame({ opcode: 1, payload });

const frames: Row[] = [
  says('text that is not JSON', 'error INVALID_JSON', 'hello'),
  says('an empty frame', 'error INVALID_JSON', ''),
  says('truncated JSON', 'error INVALID_JSON', '{"type":"ping"'),
  says('a byte order mark before the JSON', 'error INVALID_JSON', '\ufeff{"type":"ping"}'),
  says('a JSON array', 'error INVALID_MESSAGE', '[{"type":"ping"}]'),
  says('a JSON number', 'error INVALID_MESSAGE', '7'),
  says('a JSON string', 'error INVALID_MESSAGE', '"ping"'),
  says('`null`', 'error INVALID_MESSAGE', 'null'),
  says('an object without `type`', 'error MISSING_TYPE, field type', { payload: {} }),
  says('a `type` that is a number', 'error INVALID_MESSAGE, field type', { type: 7 }),
  says('an unknown `type`', 'error UNKNOWN_TYPE, field type', { type: 'nonsense' }),
  says('the `type` `__proto__`', 'error UNKNOWN_TYPE, field type', { type: '__proto__' }),
  says('the `type` `constructor`', 'error UNKNOWN_TYPE, field type', { type: 'constructor' }),
  says('an `id` that is a number', 'error INVALID_MESSAGE, field id', { type: 'ping', id: 7 }),
  says('an empty `id`', 'error INVALID_MESSAGE, field id', { type: 'ping', id: '' }),
  says('an `id` of 129 characters', 'error INVALID_MESSAGE, field id', { type: 'ping', id: 'i'.repeat(129) }),
  says('a `payload` that is `null`', 'error INVALID_PAYLOAD, field payload', { type: 'chat', payload: null }),
  says('a `payload` that is an array', 'error INVALID_PAYLOAD, field payload', { type: 'chat', payload: ['hi'] }),
  says(
    'a `payload` of 10,000 nested arrays',
    'error INVALID_PAYLOAD, field payload',
    `{"type":"chat","payload":${'['.repeat(10_000)}${']'.repeat(10_000)}}`,
  ),
  says('`chat` without `content`', 'error INVALID_PAYLOAD, field content', { type: 'chat', payload: {} }),
  says('`chat` with a number as `content`', 'error INVALID_PAYLOAD, field content', {
    type: 'chat',
    payload: { content: 7 },
  }),
  says('`chat` with empty `content`', 'error INVALID_PAYLOAD, field content', {
    type: 'chat',
    payload: { content: '' },
  }),
  says('`chat` with `content` of 4097 characters', 'error CONTENT_TOO_LONG, field content', {
    type: 'chat',
    payload: { content: 'x'.repeat(4097) },
  }),
  says('`chat` with a number as `room`', 'error INVALID_PAYLOAD, field room', {
    type: 'chat',
    payload: { room: 7, content: 'x' },
  }),
  says('`chat` to a room that was not joined', 'error NOT_IN_ROOM', {
    type: 'chat',
    payload: { room: 'elsewhere', content: 'x' },
  }),
  says('`join_room` without `room`', 'error INVALID_PAYLOAD, field room', { type: 'join_room', payload: {} }),
  says('`join_room` with an empty `room`', 'error ROOM_FORBIDDEN, field room', {
    type: 'join_room',
    payload: { room: '' },
  }),
  says('`join_room` with spaces in `room`', 'error ROOM_FORBIDDEN, field room', {
    type: 'join_room',
    payload: { room: 'a b' },
  }),
  says('`join_room` with a `room` of 129 characters', 'error ROOM_FORBIDDEN, field room', {
    type: 'join_room',
    payload: { room: 'r'.repeat(129) },
  }),
  says('`join_room` of the reserved `@all` without `wsfleet.v1`', 'error ROOM_FORBIDDEN, field room', {
    type: 'join_room',
    payload: { room: '@all' },
  }),
  says('`join_room` of another user’s `@user:u-bob`', 'error ROOM_FORBIDDEN, field room', {
    type: 'join_room',
    payload: { room: '@user:u-bob' },
  }),
  says('`join_room` of `__proto__`, a name like any other', 'joined_room', {
    type: 'join_room',
    payload: { room: '__proto__' },
  }),
  says('`join_room` twice', 'joined_room', { type: 'join_room', room: 'twice' }, { type: 'join_room', room: 'twice' }),
  {
    input: '`join_room` beyond `MAX_ROOMS_PER_CONNECTION`',
    answer: 'error TOO_MANY_ROOMS, field room',
    async send({ strict }) {
      await using client = await connect(strict, { token: issued() });
      return await answerTo(
        client,
        ['a', 'b', 'c'].map((room) => ({ type: 'join_room', room })),
      );
    },
  },
  says('`leave_room` of a room that was not joined', 'error NOT_IN_ROOM', { type: 'leave_room', room: 'elsewhere' }),
  says('`typing` in a room that was not joined', 'error NOT_IN_ROOM', {
    type: 'typing',
    room: 'elsewhere',
    isTyping: true,
  }),
  says('`typing` with a string as `isTyping`', 'error INVALID_PAYLOAD, field isTyping', {
    type: 'typing',
    room: 'a',
    isTyping: 'yes',
  }),
  says('`list_members` of a room that was not joined', 'error NOT_IN_ROOM', {
    type: 'list_members',
    room: 'elsewhere',
  }),
  says('`direct` to a connection that is not there', 'error NOT_FOUND', {
    type: 'direct',
    to: { clientId: 'nobody' },
    content: 'x',
  }),
  says('`direct` without `to`', 'error INVALID_PAYLOAD, field to', { type: 'direct', content: 'x' }),
  says('`direct` to a user and a connection at once', 'error INVALID_PAYLOAD, field to', {
    type: 'direct',
    to: { userId: 'a', clientId: 'b' },
    content: 'x',
  }),
  says('`direct` with `content` of 4097 characters', 'error CONTENT_TOO_LONG, field content', {
    type: 'direct',
    to: { userId: 'a' },
    content: 'x'.repeat(4097),
  }),
  says('`refresh_token` with a number', 'error INVALID_PAYLOAD, field token', { type: 'refresh_token', token: 7 }),
  says('`refresh_token` with another user’s token', 'error TOKEN_INVALID, field token', {
    type: 'refresh_token',
    token: tokenFor('bob'),
  }),
  says('a binary frame', 'error BINARY_NOT_SUPPORTED', Buffer.from('{"type":"ping"}')),
  {
    input: 'a message beyond the rate limit',
    answer: 'error RATE_LIMITED, with retryAfter',
    async send({ strict }) {
      await using client = await connect(strict, { token: issued() });
      for (let i = 0; i < 5; i += 1) await client.request('ping');
      const { payload } = await client.request('ping');
      const { code, retryAfter } = payload as { code: string; retryAfter?: number };
      return `error ${code}${retryAfter ? ', with retryAfter' : ''}`;
    },
  },
  {
    input: 'messages that go on beyond the rate limit',
    answer: 'close 4029',
    async send({ strict }) {
      await using client = await connect(strict, { token: issued() });
      for (let i = 0; i < 30; i += 1) client.send({ type: 'ping' });
      return `close ${(await client.closed).code}`;
    },
  },
  closes('a frame of 64 KiB and one byte', 1009, text('x'.repeat(65_537))),
  closes(
    'fragments of more than 64 KiB together',
    1009,
    frame({ opcode: 1, payload: 'x'.repeat(40_000), fin: false }),
    frame({ opcode: 0, payload: 'x'.repeat(40_000) }),
  ),
  closes(
    '20,000 empty fragments',
    1008,
    frame({ opcode: 1, fin: false }),
    ...Array.from({ length: 20_000 }, () => frame({ opcode: 0, fin: false })),
  ),
  closes('text that is not UTF-8', 1007, frame({ opcode: 1, payload: Buffer.from([0xc3, 0x28]) })),
  closes('a frame without a mask', 1002, frame({ opcode: 1, payload: '{"type":"ping"}', mask: false })),
  closes('the reserved opcode 3', 1002, frame({ opcode: 3, payload: 'x' })),
  closes('a reserved bit (compression that was not agreed)', 1002, frame({ opcode: 1, payload: 'x', rsv: 4 })),
  closes('a continuation of nothing', 1002, frame({ opcode: 0, payload: 'x' })),
  closes('a ping of 126 bytes', 1002, frame({ opcode: 9, payload: 'x'.repeat(126) })),
  closes('a ping in fragments', 1002, frame({ opcode: 9, payload: 'x', fin: false })),
  closes('a close frame of one byte', 1002, frame({ opcode: 8, payload: 'x' })),
  closes(
    'a close frame with the code 1006, which must not be sent',
    1002,
    frame({ opcode: 8, payload: Buffer.from([0x03, 0xee]) }),
  ),
  closes(
    'a flood of 20,000 pings at once',
    1006,
    ...Array.from({ length: 20_000 }, () => frame({ opcode: 9, payload: 'p'.repeat(125) })),
  ),
];

// --- Tokens and handshakes

/** `401 TOKEN_MISSING`: the status, and the code of a JSON error; or what else the body is. */
function summary(answer: string): string {
  if (answer === '') return 'the connection is closed';
  const [, status = '?'] = /^HTTP\/1\.1 (\d{3}) /.exec(answer) ?? [];
  const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
  try {
    const { error } = JSON.parse(body) as { error: { code: string; message: string; field?: string } };
    if (typeof error.message !== 'string' || error.message === '') return `${status} ${error.code} without a message`;
    return `${status} ${error.code}${error.field ? `, field ${error.field}` : ''}`;
  } catch {
    return body === '' ? status : `${status} with a body`;
  }
}

const request = (input: string, answer: string, bytes: string | Buffer, to: keyof Apps = 'open'): Row => ({
  input,
  answer,
  async send(apps) {
    using raw = await openRaw(apps[to].port);
    raw.write(bytes);
    return summary(await raw.end());
  },
});

const handshake = (
  input: string,
  answer: string,
  options: Parameters<typeof handshakeHead>[0],
  to: keyof Apps = 'open',
): Row =>
  request(
    input,
    answer,
    handshakeHead({ ...options, headers: { Authorization: `Bearer ${tokenFor('x')}`, ...options?.headers } }),
    to,
  );

const bearer = (input: string, answer: string, token: string, to?: keyof Apps): Row =>
  handshake(input, answer, { headers: { Authorization: `Bearer ${token}` } }, to);

const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const [head = '', claims = '', signature = ''] = tokenFor('alice').split('.');
const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const soon = Math.floor(Date.now() / 1000) + 3600;

const named = (name: string) => jwt.sign({ sub: 'a', name, exp: soon }, SECRET);
const critical = (crit: string[]) =>
  jwt.sign({ sub: 'a', exp: soon }, SECRET, { header: { alg: 'HS256', crit } as jwt.JwtHeader });

const tokens: Row[] = [
  handshake('none', '401 TOKEN_MISSING', { headers: { Authorization: undefined } }),
  handshake('an empty one in the query', '401 TOKEN_MISSING', {
    path: '/ws?token=',
    headers: { Authorization: undefined },
  }),
  handshake('an Authorization header of another scheme', '401 TOKEN_MISSING', {
    headers: { Authorization: 'Basic YTpi' },
  }),
  bearer('a word', '401 TOKEN_MALFORMED', 'hello'),
  bearer('three words with dots', '401 TOKEN_MALFORMED', 'a.b.c'),
  bearer('one whose claims are not an object', '401 TOKEN_MALFORMED', jwt.sign('"hello"', SECRET)),
  bearer(
    'one signed with another secret',
    '401 TOKEN_INVALID',
    jwt.sign({ sub: 'a', exp: soon }, 'another secret, of thirty-two chars'),
  ),
  bearer(
    'claims changed after signing',
    '401 TOKEN_INVALID',
    `${head}.${encoded({ sub: 'admin', exp: soon })}.${signature}`,
  ),
  bearer('the signature cut off', '401 TOKEN_INVALID', `${head}.${claims}.`),
  bearer('the algorithm `none`', '401 TOKEN_INVALID', `${encoded({ alg: 'none', typ: 'JWT' })}.${claims}.`),
  bearer(
    'the algorithm RS256',
    '401 TOKEN_INVALID',
    jwt.sign({ sub: 'a', exp: soon }, privateKey, { algorithm: 'RS256' }),
  ),
  bearer(
    'the right secret with HS512',
    '401 TOKEN_INVALID',
    jwt.sign({ sub: 'a', exp: soon }, SECRET, { algorithm: 'HS512' }),
  ),
  bearer('one that has expired', '401 TOKEN_EXPIRED', jwt.sign({ sub: 'a', exp: 1_000_000_000 }, SECRET)),
  bearer('one that is not valid yet', '401 TOKEN_INVALID', jwt.sign({ sub: 'a', exp: soon, nbf: soon }, SECRET)),
  bearer('one without `exp`', '401 TOKEN_MALFORMED', jwt.sign({ sub: 'a' }, SECRET)),
  bearer('a string as `exp`', '401 TOKEN_INVALID', jwt.sign(JSON.stringify({ sub: 'a', exp: 'soon' }), SECRET)),
  bearer('one without `sub`', '401 TOKEN_MALFORMED', jwt.sign({ name: 'a', exp: soon }, SECRET)),
  bearer('a `sub` of 129 characters', '401 TOKEN_MALFORMED', jwt.sign({ sub: 'a'.repeat(129), exp: soon }, SECRET)),
  bearer('a `sub` with a control character', '401 TOKEN_MALFORMED', jwt.sign({ sub: 'a\u0000b', exp: soon }, SECRET)),
  bearer(
    'a `sub` that is written backwards',
    '401 TOKEN_MALFORMED',
    jwt.sign({ sub: '\u202eecila', exp: soon }, SECRET),
  ),
  bearer('a `name` with a line break', '401 TOKEN_MALFORMED', named('Alice\nadmin')),
  bearer('a `name` with a bidirectional isolate', '401 TOKEN_MALFORMED', named('Alice\u2067')),
  bearer('a `name` with an invisible character', '401 TOKEN_MALFORMED', named('Ali\u200bce')),
  bearer('a `crit` header', '401 TOKEN_INVALID', critical(['exp'])),
  bearer('an empty `crit` header', '401 TOKEN_INVALID', critical([])),
  bearer(
    'one that expires in fifty years',
    '401 TOKEN_INVALID',
    jwt.sign({ sub: 'a', exp: soon + 50 * 365 * 86_400 }, SECRET),
  ),
  bearer('`rooms` that is not a list', '401 TOKEN_MALFORMED', jwt.sign({ sub: 'a', rooms: 'all', exp: soon }, SECRET)),
  bearer('another issuer than `JWT_ISSUER`', '401 TOKEN_INVALID', issued({ iss: 'https://evil.example' }), 'strict'),
  bearer('no issuer, with `JWT_ISSUER` set', '401 TOKEN_INVALID', tokenFor('x'), 'strict'),
];

const handshakes: Row[] = [
  handshake('a path that is not the WebSocket’s', '404 NOT_FOUND', { path: '/socket' }),
  handshake('a path out of the root', '404 NOT_FOUND', { path: '/ws/../../metrics' }),
  handshake('a target that is no URL', '404 NOT_FOUND', { path: 'http://[' }),
  handshake('a foreign `Origin`', '403 ORIGIN_FORBIDDEN', { headers: { Origin: 'https://evil.example' } }),
  handshake('the `Origin` `null`', '403 ORIGIN_FORBIDDEN', { headers: { Origin: 'null' } }),
  handshake('an `Origin` that is no URL', '403 ORIGIN_FORBIDDEN', { headers: { Origin: 'evil' } }),
  handshake('no `Upgrade` header', '404 NOT_FOUND', { headers: { Upgrade: undefined, Connection: 'close' } }),
  handshake('an upgrade to another protocol, which is ignored', '404 NOT_FOUND', {
    headers: { Upgrade: 'h2c', Connection: 'Upgrade, close' },
  }),
  handshake('the method POST', '405 BAD_HANDSHAKE', { method: 'POST' }),
  handshake('no `Sec-WebSocket-Key`', '400 BAD_HANDSHAKE', { headers: { 'Sec-WebSocket-Key': undefined } }),
  handshake('a `Sec-WebSocket-Key` that is too short', '400 BAD_HANDSHAKE', {
    headers: { 'Sec-WebSocket-Key': 'abc=' },
  }),
  handshake('no `Sec-WebSocket-Version`', '400 BAD_HANDSHAKE', { headers: { 'Sec-WebSocket-Version': undefined } }),
  handshake('`Sec-WebSocket-Version: 12`', '400 BAD_HANDSHAKE', { headers: { 'Sec-WebSocket-Version': '12' } }),
  handshake('a `Sec-WebSocket-Protocol` with an empty entry', '400 BAD_HANDSHAKE', {
    headers: { 'Sec-WebSocket-Protocol': 'a,,b' },
  }),
  handshake('the `Origin` `null` without `Host`', '403 ORIGIN_FORBIDDEN', {
    headers: { Origin: 'null', Host: undefined },
  }),
  handshake('20 KB of headers', '431', { headers: { 'X-Large': 'x'.repeat(20_000) } }),
  handshake('a connection beyond `MAX_CONNECTIONS`', '503 CONNECTION_LIMIT', {}, 'full'),
];

// --- HTTP

const get = (input: string, answer: string, path: string, method = 'GET'): Row =>
  request(input, answer, `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);

const demo = (input: string, answer: string, body: string, headers = 'Content-Type: application/json'): Row =>
  request(
    `\`POST /demo/token\` ${input}`,
    answer,
    `POST /demo/token HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${headers}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );

const http: Row[] = [
  demo('with text that is not JSON', '400 BAD_REQUEST', '{"name":'),
  demo('with a JSON array', '400 INVALID_NAME, field name', '["alice"]'),
  demo('without a body', '400 INVALID_NAME, field name', ''),
  demo('with an empty name', '400 INVALID_NAME, field name', '{"name":""}'),
  demo('with a name of spaces', '400 INVALID_NAME, field name', '{"name":"   "}'),
  demo('with a number as name', '400 INVALID_NAME, field name', '{"name":7}'),
  demo('with a name of 33 characters', '400 INVALID_NAME, field name', `{"name":"${'n'.repeat(33)}"}`),
  demo('with a control character in the name', '400 INVALID_NAME, field name', '{"name":"a\\u0007b"}'),
  demo('with more than 1 KB', '413 BODY_TOO_LARGE', `{"name":"${'n'.repeat(2000)}"}`),
  demo('as a form', '400 INVALID_NAME, field name', 'name=alice', 'Content-Type: application/x-www-form-urlencoded'),
  demo(
    'in a character set that is unknown',
    '415 BAD_REQUEST',
    '{"name":"a"}',
    'Content-Type: application/json; charset=klingon',
  ),
  demo(
    'declared as gzip but not compressed',
    '400 BAD_REQUEST',
    '{"name":"a"}',
    'Content-Type: application/json\r\nContent-Encoding: gzip',
  ),
  get('`GET /demo/token`', '404 NOT_FOUND', '/demo/token'),
  request(
    '`POST /demo/token` with `DEMO=false`',
    '404 NOT_FOUND',
    'POST /demo/token HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"name":"a"}',
    'strict',
  ),
  get('`GET /metrics` of the public listener', '404 NOT_FOUND', '/metrics'),
  get('`GET /health/ready` of the public listener', '404 NOT_FOUND', '/health/ready'),
  get('`GET /status` of the public listener', '404 NOT_FOUND', '/status'),
  get('a file that is not there', '404 NOT_FOUND', '/no-such-file.css'),
  get('a hidden file', '404 NOT_FOUND', '/.env'),
  get('`/../src/main.ts`', '404 NOT_FOUND', '/../src/main.ts'),
  get('`/..%2fsrc%2fmain.ts`', '404 NOT_FOUND', '/..%2fsrc%2fmain.ts'),
  get('`/client/../../src/main.ts`', '404 NOT_FOUND', '/client/../../src/main.ts'),
  get('`/client/..%2f..%2fsrc%2fmain.ts`', '404 NOT_FOUND', '/client/..%2f..%2fsrc%2fmain.ts'),
  get('`/client/%2e%2e/%2e%2e/src/main.ts`', '404 NOT_FOUND', '/client/%2e%2e/%2e%2e/src/main.ts'),
  get('`/client/..\\..\\src\\main.ts`', '404 NOT_FOUND', '/client/..\\..\\src\\main.ts'),
  get('`/client//etc/passwd`', '404 NOT_FOUND', '/client//etc/passwd'),
  get('a zero byte in the path', '404 NOT_FOUND', '/client/a%00.ts'),
  get('a path that cannot be decoded', '404 NOT_FOUND', '/%ff'),
  get('the method DELETE', '404 NOT_FOUND', '/health', 'DELETE'),
  get('the method TRACE', '404 NOT_FOUND', '/', 'TRACE'),
  request('the method CONNECT', 'the connection is closed', 'CONNECT redis:6379 HTTP/1.1\r\nHost: redis:6379\r\n\r\n'),
  request('a method that does not exist', '400', 'FETCH / HTTP/1.1\r\nHost: a\r\n\r\n'),
  request('bytes that are not HTTP', '400', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'),
  request(
    '`Content-Length` and `Transfer-Encoding` at once',
    '400',
    'POST /demo/token HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ),
  request('a line break inside a header', '400', 'GET /health HTTP/1.1\r\nHost: a\r\nX-A: b\rX-B: c\r\n\r\n'),
  request('headers not complete within 10 s', '408', 'GET /health HTTP/1.1\r\nHost: a\r\nX-Slow: '),
];

export const badInput: { title: string; rows: Row[] }[] = [
  { title: 'Frames', rows: frames },
  { title: 'Tokens', rows: tokens },
  { title: 'Handshakes', rows: handshakes },
  { title: 'HTTP requests', rows: http },
];

/** docs/bad-input.md. */
export function toMarkdown(tables: typeof badInput): string {
  const sections = tables.map(({ title, rows }) => {
    const cells = [['input', 'answer'], ...rows.map(({ input, answer }) => [input, answer])].map((row) =>
      row.map((text) => text.replaceAll('|', '\\|')),
    );
    const widths = [0, 1].map((column) => Math.max(...cells.map((row) => (row[column] ?? '').length)));
    const line = (row: string[]) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
    const [head = '', ...body] = cells.map(line);
    return [`## ${title}`, '', head, line(widths.map((width) => '-'.repeat(width))), ...body].join('\n');
  });
  return `# Bad input

What the app answers to wrong input; \`app/test/handlers/bad-input.test.ts\` checks every row. The app stays alive and
ready throughout. After an \`error\` the connection stays open, and the next message is answered; a frame that breaks the
WebSocket protocol closes it; 1006 means closed without a close frame. HTTP errors have the JSON body
\`{"error": {"code", "message"}}\`, except where Node itself refuses the request (a status without a code).

${sections.join('\n\n')}
`;
}
