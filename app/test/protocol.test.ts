import { expect, test } from 'vitest';
import { closeCodes, comebackAfter } from '../src/close-codes.ts';
import { encode, isPresenceEvent, MAX_ID_LENGTH, parseClientMessage, ROOM_PATTERN } from '../src/protocol.ts';

test.for<[string, string, object]>([
  ['an envelope', '{"type":"chat","payload":{"content":"hi"}}', { type: 'chat', payload: { content: 'hi' } }],
  ['an id', '{"type":"ping","payload":{},"id":"7"}', { type: 'ping', payload: {}, id: '7' }],
  ['the longest id', `{"type":"ping","id":"${'i'.repeat(MAX_ID_LENGTH)}"}`, { id: 'i'.repeat(MAX_ID_LENGTH) }],
  [
    'a flat message',
    '{"type":"room_message","room":"a","content":"hi"}',
    { type: 'room_message', payload: { room: 'a', content: 'hi' }, id: undefined },
  ],
  [
    'a flat message with envelope fields, which are not payload',
    '{"type":"chat","content":"hi","id":"1","timestamp":5}',
    { payload: { content: 'hi' }, id: '1' },
  ],
  [
    'a payload beside other fields: the payload alone',
    '{"type":"chat","payload":{"content":"a"},"content":"b"}',
    {
      payload: { content: 'a' },
    },
  ],
  ['a payload that is no object, for the handler to refuse', '{"type":"chat","payload":null}', { payload: null }],
  ['white space around', ' \n{"type":"ping"}\n', { type: 'ping', payload: {} }],
  ['a type that objects have by nature', '{"type":"constructor"}', { type: 'constructor' }],
])('reads %s', ([, text, message]) => {
  const parsed = parseClientMessage(text);
  expect(parsed).not.toHaveProperty('error');
  expect(parsed).toMatchObject(message);
});

test('a field named __proto__ is a field and changes no prototype', () => {
  const parsed = parseClientMessage('{"type":"chat","__proto__":{"room":"x"},"content":"hi"}');
  expect(parsed).not.toHaveProperty('payload.room');
  expect(({} as Record<string, unknown>)['room']).toBeUndefined();
});

test.for<[string, string, object]>([
  ['', 'INVALID_JSON', {}],
  ['{', 'INVALID_JSON', {}],
  ["{'type':'ping'}", 'INVALID_JSON', {}],
  ['undefined', 'INVALID_JSON', {}],
  ['\ufeff{"type":"ping"}', 'INVALID_JSON', {}],
  ['null', 'INVALID_MESSAGE', {}],
  ['7', 'INVALID_MESSAGE', {}],
  ['"ping"', 'INVALID_MESSAGE', {}],
  ['[{"type":"ping"}]', 'INVALID_MESSAGE', {}],
  ['{}', 'MISSING_TYPE', { field: 'type' }],
  ['{"type":7}', 'INVALID_MESSAGE', { field: 'type' }],
  ['{"type":null}', 'INVALID_MESSAGE', { field: 'type' }],
  ['{"type":"ping","id":7}', 'INVALID_MESSAGE', { field: 'id' }],
  ['{"type":"ping","id":null}', 'INVALID_MESSAGE', { field: 'id' }],
  ['{"type":"ping","id":""}', 'INVALID_MESSAGE', { field: 'id' }],
  [`{"type":"ping","id":"${'i'.repeat(MAX_ID_LENGTH + 1)}"}`, 'INVALID_MESSAGE', { field: 'id' }],
])('refuses %s with %s', ([text, code, more]) => {
  expect(parseClientMessage(text)).toMatchObject({ error: { code, ...more } });
});

test('a refusal keeps the id where it could be read', () => {
  expect(parseClientMessage('{"id":"a"}')).toMatchObject({ error: { code: 'MISSING_TYPE' }, id: 'a' });
  expect(parseClientMessage('{"id":"a","type":1}')).toMatchObject({ id: 'a' });
});

test('a server frame carries type, payload, the time, and the id only where there is one', () => {
  const before = Date.now();
  const frame = JSON.parse(encode('left_room', { room: 'a' }, 'x')) as Record<string, unknown>;
  expect(frame).toEqual({ type: 'left_room', payload: { room: 'a' }, timestamp: expect.any(Number), id: 'x' });
  expect(frame['timestamp']).toBeGreaterThanOrEqual(before);
  expect(JSON.parse(encode('pong', {}))).not.toHaveProperty('id');
});

test('a frame survives half a surrogate pair: the text is valid UTF-8', () => {
  const text = encode('left_room', { room: '\ud83d' });
  expect(JSON.parse(Buffer.from(text).toString())).toMatchObject({ payload: { room: '\ud83d' } });
});

test.for<[string, boolean]>([
  ['general', true],
  ['a', true],
  ['team:red_1.x-y', true],
  ['r'.repeat(128), true],
  ['r'.repeat(129), false],
  ['', false],
  ['@all', false],
  ['@user:u-alice', false],
  ['two words', false],
  ['line\n', false],
  ['raum/ü', false],
  ['{hash}', false],
])('the room name %j is allowed: %s', ([room, allowed]) => {
  expect(ROOM_PATTERN.test(room)).toBe(allowed);
});

test('close codes are unique, and their range says whether to come back', () => {
  const codes = Object.values(closeCodes).map(({ code }) => code);
  expect(new Set(codes).size).toBe(codes.length);
  for (const { code, comeback, reason } of Object.values(closeCodes)) {
    if (code >= 4500) expect(comeback).toBe('never');
    else if (code >= 4000) expect(comeback).not.toBe('never');
    // RFC 6455: a control frame carries at most 125 bytes, two of them the code.
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
  }
});

test.for<[number, string]>([
  [1000, 'never'],
  [1001, 'backoff'],
  [1006, 'backoff'],
  [1008, 'never'],
  [1012, 'at-slot'],
  [1013, 'backoff'],
  [4000, 'backoff'],
  [4001, 'new-token'],
  [4008, 'backoff'],
  [4029, 'backoff'],
  [4499, 'backoff'],
  [4500, 'never'],
  [4999, 'never'],
])('after %d a client comes back: %s', ([code, comeback]) => {
  expect(comebackAfter(code)).toBe(comeback);
});

test('a presence event is told from other frames', () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const who = { room: 'r', userId: 'u', username: 'u' };
  for (const type of ['user_joined', 'user_left'] as const) {
    expect(isPresenceEvent(bytes(encode(type, { ...who, memberCount: 1 })))).toBe(true);
  }
  expect(isPresenceEvent(bytes(encode('typing', { ...who, isTyping: true })))).toBe(false);
  expect(isPresenceEvent(bytes(''))).toBe(false);
});
