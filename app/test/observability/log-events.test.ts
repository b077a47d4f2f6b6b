/** docs/logs.md lists the log events of the sources: all of them, with these levels and fields, and no others. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync } from '@swc/core';
import { expect, test } from 'vitest';
import { startApp } from '../harness/app.ts';
import { connect, type Message } from '../harness/client.ts';

const src = join(import.meta.dirname, '../../src');
const levels = new Set(['trace', 'debug', 'info', 'warn', 'error', 'fatal']);

interface Call {
  event: string;
  level: string;
  fields: string[];
}

/** Fields that a `...rest` brings, by the event that has one. */
const spread: Readonly<Record<string, string[]>> = { joined: ['recovery', 'reason', 'position', 'replayed'] };

// biome-ignore lint/suspicious/noExplicitAny: a syntax tree, walked by its shape
function findCalls(node: any, calls: Call[]): void {
  if (node === null || typeof node !== 'object') return;
  const level = node.type === 'CallExpression' && node.callee.property?.value;
  const [first] = (level && levels.has(level) && node.arguments) || [];
  if (first?.expression.type === 'ObjectExpression') {
    // biome-ignore lint/suspicious/noExplicitAny: as above
    const properties: any[] = first.expression.properties;
    const nameOf = (property: { value?: string; key?: { value: string } }) =>
      property.key?.value ?? property.value ?? '';
    const event = properties.find((property) => nameOf(property) === 'event')?.value.value ?? '';
    const fields = properties.flatMap((property) =>
      property.type === 'SpreadElement' ? (spread[event] ?? ['...']) : [nameOf(property)],
    );
    calls.push({ event, level, fields: fields.filter((field) => field !== 'event').sort() });
  }
  for (const value of Object.values(node)) findCalls(value, calls);
}

function callsInSources(): Call[] {
  const calls: Call[] = [];
  for (const file of readdirSync(src, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue;
    findCalls(parseSync(readFileSync(join(src, file), 'utf8'), { syntax: 'typescript' }), calls);
  }
  return calls.sort((a, b) => a.event.localeCompare(b.event));
}

function callsInDocs(): Call[] {
  const text = readFileSync(join(src, '../../docs/logs.md'), 'utf8');
  const rows = text.matchAll(/^\| `(\w+)` \| (\w+) \| (.*?) ?\| \S.* \|$/gm);
  return [...rows]
    .map(([, event = '', level = '', fields = '']) => ({
      event,
      level,
      fields: [...fields.matchAll(/`(\w+)`/g)].map(([, name = '']) => name).sort(),
    }))
    .sort((a, b) => a.event.localeCompare(b.event));
}

test('docs/logs.md and the sources have the same events, with the same levels and fields', () => {
  const inSources = callsInSources();
  expect(inSources.length).toBeGreaterThan(20);
  expect(inSources.filter(({ event }) => !/^[a-z_]+$/.test(event))).toEqual([]);
  expect(callsInDocs()).toEqual(inSources);
});

test('no line is written around the logger’s events', () => {
  const mentioned = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => [...readFileSync(join(src, file), 'utf8').matchAll(/\blogger\.(\w+)\(/g)])
    .filter(([, method = '']) => levels.has(method));
  expect(callsInSources()).toHaveLength(mentioned.length);
});

test('a message can be followed by its position, at debug only', async () => {
  await using app = await startApp({ LOG_LEVEL: 'debug' });
  await using alice = await connect(app, { as: 'alice' });
  await using bob = await connect(app, { as: 'bob' });
  for (const client of [alice, bob]) await client.request('join_room', { room: 'followed' });
  const ack = (await alice.request('chat', { room: 'followed', content: 'hello' })) as Message<'ack'>;
  const { position } = ack.payload;
  const there = (line: object) => JSON.stringify(line).includes(JSON.stringify(position));

  const published = await app.log('published', there);
  expect(published).toMatchObject({ level: 'debug', clientId: alice.clientId, messageId: ack.id, room: 'followed' });
  expect(await app.log('received', there)).toMatchObject({ room: 'followed', position });
  expect(await app.log('delivered', there)).toMatchObject({ room: 'followed', position, members: 2 });

  await using late = await connect(app, { as: 'late' });
  await late.request('join_room', { room: 'followed', position: { ...position, offset: 0 } });
  expect(await app.log('joined', ({ clientId }) => clientId === late.clientId)).toMatchObject({
    room: 'followed',
    recovery: 'recovered',
    position: { ...position, offset: 0 },
    replayed: 1,
  });
});

test('at info nothing is said of a message', async () => {
  await using app = await startApp();
  await using alice = await connect(app);
  await alice.request('join_room', { room: 'quiet' });
  await alice.request('chat', { room: 'quiet', content: 'hello' });
  await alice.next('message');
  await alice.close();
  await app.log('disconnected');
  expect(app.lines.map(({ event }) => event)).toEqual(['listening', 'connected', 'disconnected']);
});
