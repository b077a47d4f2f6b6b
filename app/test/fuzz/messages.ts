/** Texts of messages: those that a schema allows, with parts replaced by hostile values, and hostile texts. */
import fc from 'fast-check';
import { z } from 'zod';
import { handlers } from '../../src/handlers/index.ts';

/** What breaks parsers, validators, prototypes, regular expressions and logs. */
export const hostile: readonly unknown[] = [
  '',
  '\0',
  '\ud800',
  '\udfff\ud800',
  '\u202eevil\u2066',
  '__proto__',
  'constructor',
  'toString',
  '@all',
  '@me',
  '@user:u-fuzz',
  '@instances',
  '../../etc/passwd',
  '%00%n%s',
  'a'.repeat(200),
  'x'.repeat(5000),
  `${'a'.repeat(50)}!`.repeat(50),
  '"}],"type":"ack"',
  'EVAL "return 1" 0\r\n',
  '{{7*7}}',
  0,
  -0,
  -1,
  1e308,
  Number.MAX_SAFE_INTEGER + 2,
  true,
  false,
  null,
  [],
  {},
  [[[[[[[[[[]]]]]]]]]],
  // As text, because a literal would mean something else here.
  JSON.parse('{"__proto__":{"admin":true}}'),
  JSON.parse('{"constructor":{"prototype":{"admin":true}}}'),
  JSON.parse('{"toJSON":"x","then":"x","length":1e9}'),
];

/** Texts that are no message at all. */
const broken: readonly string[] = [
  '',
  ' ',
  '{',
  '[]',
  'null',
  '"x"',
  '1e999',
  '{"type":}',
  '{"type":"chat","type":"ping"}',
  '{"__proto__":{"type":"ping"}}',
  `${'['.repeat(5000)}${']'.repeat(5000)}`,
  '{"a":'.repeat(3000),
  `{"type":"chat","payload":${'{"a":'.repeat(2000)}1${'}'.repeat(2000)}}`,
  `{"type":"${'x'.repeat(30_000)}"}`,
  '\ufeff{"type":"ping"}',
  '{"type":"ping"}\0',
  '{"type":"ping","id":"\\ud800"}',
];

const anyHostile = fc.constantFrom(...hostile);
const anyValue = fc.oneof(
  { weight: 3, arbitrary: anyHostile },
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ maxLength: 60 }),
);
const room = fc.oneof(fc.constantFrom('fuzz', 'fuzz2', 'lobby'), fc.string({ maxLength: 20 }));

/** A value that a schema accepts, mostly. */
function fromSchema(schema: z.ZodType, key = ''): fc.Arbitrary<unknown> {
  if (schema instanceof z.ZodOptional)
    return fc.option(fromSchema(schema.unwrap() as z.ZodType, key), { nil: undefined });
  if (schema instanceof z.ZodObject) {
    return fc.record(
      Object.fromEntries(
        Object.entries(schema.shape).map(([name, each]) => [name, fromSchema(each as z.ZodType, name)]),
      ),
    );
  }
  if (schema instanceof z.ZodUnion)
    return fc.oneof(...schema.options.map((each) => fromSchema(each as z.ZodType, key)));
  if (schema instanceof z.ZodBoolean) return fc.boolean();
  if (schema instanceof z.ZodNumber) return fc.nat(1000);
  return key === 'room' ? room : fc.string({ minLength: 1, maxLength: 40 });
}

const wellFormed = fc.oneof(
  ...handlers.map((handler) =>
    fc.record({
      type: fc.constantFrom(handler.type, ...(handler.aliases ?? [])),
      payload: fromSchema(handler.payload),
      id: fc.option(fc.string({ minLength: 1, maxLength: 20 }), { nil: undefined }),
    }),
  ),
);

/** A message of which one part is another value. */
const spoilt = fc.tuple(wellFormed, fc.nat(), anyValue).map(([message, at, value]) => {
  const copy = structuredClone(message) as Record<string, unknown>;
  const payload = copy['payload'] as Record<string, unknown>;
  const names = ['type', 'payload', 'id', 'timestamp', ...Object.keys(payload)];
  const name = names[at % names.length] ?? 'type';
  if (Object.hasOwn(payload, name)) payload[name] = value;
  else copy[name] = value;
  return copy;
});

export const messageTexts: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: wellFormed.map((message) => JSON.stringify(message)) },
  { weight: 5, arbitrary: spoilt.map((message) => JSON.stringify(message)) },
  { weight: 1, arbitrary: fc.constantFrom(...broken) },
  { weight: 1, arbitrary: fc.string({ maxLength: 200 }) },
  // A text that was cut or has another byte somewhere.
  {
    weight: 2,
    arbitrary: fc.tuple(wellFormed, fc.nat(), fc.string({ maxLength: 3 })).map(([message, at, piece]) => {
      const text = JSON.stringify(message);
      const cut = at % text.length;
      return text.slice(0, cut) + piece + text.slice(cut + (at % 3));
    }),
  },
);
