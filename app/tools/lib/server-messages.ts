/** The messages of the server as schemas, which docs/asyncapi.yaml is made of and the tests check every frame against. */
import { z } from 'zod';
import { errorCodes, gapReasons, recoveries, rights, type ServerMessages } from '../../src/protocol.ts';

const ms = (what: string) => z.number().meta({ description: `${what}, in milliseconds` });
const time = (what: string) => z.number().meta({ description: `${what}, in milliseconds since the Unix epoch` });

const position = z.strictObject({ epoch: z.string(), offset: z.int().min(0) }).meta({
  id: 'Position',
  description: 'A place in a room’s history. Offsets count from 1 and continue across epochs',
});
const member = z.strictObject({ userId: z.string(), username: z.string() }).meta({ id: 'Member' });
const sender = z
  .strictObject({ userId: z.string(), username: z.string(), clientId: z.string(), instanceId: z.string() })
  .meta({ id: 'Sender', description: 'A message of the server API has the clientId `@api`' });
const room = z.string().meta({ description: 'A room, `@all` for broadcasts, `@me` for direct messages' });
const memberCount = z.int().min(0).meta({ description: 'Users in the room; several connections count once' });
const presenceEvent = z.strictObject({ room, userId: z.string(), username: z.string(), memberCount });

export const serverMessages = {
  connected: z.strictObject({
    clientId: z.string(),
    instanceId: z.string(),
    heartbeat: z.strictObject({ interval: ms('Time between pings'), timeout: ms('Time that a pong may take') }),
    limits: z.strictObject({
      maxFrameBytes: z.int(),
      maxContentLength: z.int(),
      maxRooms: z.int(),
      ratePerMinute: z.int(),
      burst: z.int(),
    }),
  }),
  authenticated: z.strictObject({
    userId: z.string(),
    username: z.string(),
    expiresAt: time('When the token expires'),
  }),
  joined_room: z.strictObject({
    room,
    memberCount,
    position,
    recovery: z.enum(recoveries),
    reason: z.enum(gapReasons).exclude(['rewound']).exactOptional().meta({ description: 'Why there is a gap' }),
    replayed: z.int().min(0).meta({ description: 'Messages that follow before live ones' }),
  }),
  left_room: z.strictObject({ room }),
  rooms: z.strictObject({ rooms: z.array(z.string()) }),
  members: z.strictObject({
    room,
    members: z.array(member).exactOptional().meta({ description: 'Not in the summary that large rooms get' }),
    memberCount,
  }),
  message: z.strictObject({
    room,
    from: sender,
    content: z.union([z.string(), z.record(z.string(), z.unknown())]).meta({
      description: 'Text, or an object that the server API published',
    }),
    position: position.exactOptional().meta({ description: 'Not of a direct message to one connection' }),
  }),
  user_joined: presenceEvent,
  user_left: presenceEvent,
  typing: z.strictObject({ room, userId: z.string(), username: z.string(), isTyping: z.boolean() }),
  ack: z.strictObject({
    position: position.nullable().meta({ description: 'null for a direct message to one connection' }),
    duplicate: z.boolean().meta({ description: 'The message was stored before, at this position' }),
  }),
  gap: z.strictObject({ room, reason: z.enum(gapReasons), position }),
  pong: z.strictObject({}),
  token_expiring: z.strictObject({ expiresAt: time('When the token expires') }),
  server_shutdown: z.strictObject({ reconnectInMs: ms('The client’s slot, from now') }),
  error: z.strictObject({
    code: z.enum(errorCodes),
    message: z.string(),
    field: z.string().exactOptional().meta({ description: 'The part of the payload that is wrong' }),
    retryAfter: ms('When the same can succeed').exactOptional(),
    right: z.enum(rights).exactOptional().meta({ description: 'The right that is lacking' }),
    uncertain: z.boolean().exactOptional().meta({ description: 'Nobody knows whether it was done' }),
  }),
} satisfies { [T in keyof ServerMessages]: z.ZodType<ServerMessages[T]> };

/** One frame of the server. */
export const serverFrame = z.discriminatedUnion(
  'type',
  Object.entries(serverMessages).map(([type, payload]) =>
    z.strictObject({
      type: z.literal(type),
      payload,
      timestamp: z.int(),
      id: z.string().exactOptional(),
      ...(type === 'message' && { echo: z.literal(false).exactOptional() }),
    }),
  ) as unknown as [z.ZodObject<{ type: z.ZodLiteral<string> }>],
);
