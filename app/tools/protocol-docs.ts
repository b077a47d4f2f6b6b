/** Writes docs/asyncapi.yaml from the schemas of the handlers and of lib/server-messages.ts: npm run protocol-docs */
import { writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { z } from 'zod';
import packageJson from '../package.json' with { type: 'json' };
import { handlers } from '../src/handlers/index.ts';
import { MAX_ID_LENGTH, type ServerMessageType, SUBPROTOCOL } from '../src/protocol.ts';
import { serverMessages } from './lib/server-messages.ts';

export const file = new URL('../../docs/asyncapi.yaml', import.meta.url);

/** What a client sends: what it is for, and what answers it besides `error`. */
const requests: Record<string, { summary: string; answer?: ServerMessageType }> = {
  chat: { summary: 'Publish a message to a room, or without one to everyone', answer: 'ack' },
  direct: { summary: 'Send a message to a user or to one connection', answer: 'ack' },
  join_room: { summary: 'Join a room, from a position or from now', answer: 'joined_room' },
  leave_room: { summary: 'Leave a room', answer: 'left_room' },
  list_members: { summary: 'List the members of a room', answer: 'members' },
  list_rooms: { summary: 'List the rooms of this connection', answer: 'rooms' },
  ping: { summary: 'Ask for a sign of life', answer: 'pong' },
  refresh_token: { summary: 'Continue with a new token', answer: 'authenticated' },
  typing: { summary: 'Show the others that this user types, or no longer does' },
};

const summaries: Record<ServerMessageType, string> = {
  connected: 'The connection is accepted',
  authenticated: 'Who the token speaks for',
  joined_room: 'The room is joined; a replay and live messages follow',
  left_room: 'The room is left',
  rooms: 'The rooms of this connection',
  members: 'The members of a room, or how many there are',
  message: 'A message of a room, a broadcast or a direct message',
  user_joined: 'A user joined a room',
  user_left: 'A user left a room',
  typing: 'A user types, or no longer does',
  ack: 'The message is stored',
  gap: 'The history of a room could not be continued; what follows comes after `position`',
  pong: 'The answer to `ping`',
  token_expiring: 'The token expires soon: time for `refresh_token`',
  server_shutdown: 'This instance stops: reconnect at this slot',
  error: 'The request is refused',
};

/** A schema as JSON Schema; what has an id becomes a component of its own. */
function toJsonSchema(schema: z.ZodType, shared: Record<string, unknown>): object {
  const {
    $schema: _,
    $defs = {},
    ...rest
  } = z.toJSONSchema(schema, { io: 'input', target: 'draft-7' }) as {
    $schema?: string;
    $defs?: Record<string, Record<string, unknown>>;
  };
  const definitions = { ...$defs, ...(rest as { definitions?: object }).definitions };
  for (const [name, { id: _id, $id: _own, additionalProperties: _more, ...definition }] of Object.entries(
    definitions as typeof $defs,
  )) {
    shared[name] = definition;
  }
  // Newer servers may add fields, and newer clients too.
  const text = JSON.stringify({ ...rest, definitions: undefined }).replaceAll(/,?"additionalProperties":false/g, '');
  return JSON.parse(text.replaceAll(/#\/(\$defs|definitions)\//g, '#/components/schemas/'));
}

export function describeProtocol(): object {
  const schemas: Record<string, unknown> = {};
  const id = { type: 'string', minLength: 1, maxLength: MAX_ID_LENGTH };
  const timestamp = { type: 'integer', description: 'Milliseconds since the Unix epoch' };

  const messageOf = (type: string, summary: string, payload: z.ZodType, more: object, required: string[]) => ({
    name: type,
    summary,
    contentType: 'application/json',
    payload: {
      type: 'object',
      required: ['type', ...required],
      properties: { type: { const: type }, payload: toJsonSchema(payload, schemas), ...more },
    },
  });

  const fromClient = handlers.map(({ type, payload }) => {
    const { summary = '' } = requests[type] ?? {};
    const isEmpty = payload instanceof z.ZodObject && Object.keys(payload.shape).length === 0;
    const idOfClient = { ...id, description: 'Chosen by the client; the answer carries it' };
    return [
      `client.${type}`,
      messageOf(type, summary, payload, { id: idOfClient }, isEmpty ? [] : ['payload']),
    ] as const;
  });
  const fromServer = Object.entries(serverMessages).map(([type, payload]) => {
    const echo = { const: false, description: 'Its sender did not want it back' };
    const more = {
      timestamp,
      id: { ...id, description: 'That of the request that this answers' },
      ...(type === 'message' && { echo }),
    };
    const summary = summaries[type as ServerMessageType];
    return [`server.${type}`, messageOf(type, summary, payload, more, ['payload', 'timestamp'])] as const;
  });
  const messages = Object.fromEntries([...fromClient, ...fromServer]);

  const ref = (name: string) => ({ $ref: `#/channels/connection/messages/${name}` });
  const receive = handlers.map(({ type }) => {
    const { answer } = requests[type] ?? {};
    const replies = [...(answer ? [`server.${answer}`] : []), 'server.error'].map(ref);
    return [
      type,
      {
        action: 'receive',
        channel: { $ref: '#/channels/connection' },
        summary: requests[type]?.summary,
        messages: [ref(`client.${type}`)],
        reply: { channel: { $ref: '#/channels/connection' }, messages: replies },
      },
    ] as const;
  });
  const answers = new Set(Object.values(requests).map(({ answer }) => answer));
  const pushed = Object.keys(serverMessages).filter(
    (type) =>
      !answers.has(type as ServerMessageType) ||
      ['authenticated', 'joined_room', 'left_room', 'members'].includes(type),
  );

  return {
    asyncapi: '3.0.0',
    info: {
      title: 'wsfleet WebSocket protocol',
      version: packageJson.version,
      description:
        'Text frames with one JSON object each, in both directions. docs/protocol.md says what a client must do: order, resuming, close codes.',
      license: { name: 'MIT' },
    },
    defaultContentType: 'application/json',
    servers: {
      cluster: {
        host: '{host}',
        protocol: 'wss',
        variables: { host: { default: 'localhost:8080' } },
        security: [{ $ref: '#/components/securitySchemes/token' }],
      },
    },
    channels: {
      connection: {
        address: '/ws',
        description: `One connection. Clients offer the subprotocol \`${SUBPROTOCOL}\`.`,
        messages: Object.fromEntries(
          Object.keys(messages).map((name) => [name, { $ref: `#/components/messages/${name}` }]),
        ),
        bindings: {
          ws: {
            query: {
              type: 'object',
              properties: { token: { type: 'string', description: 'The token, where no header can carry it' } },
            },
            headers: {
              type: 'object',
              properties: {
                Authorization: { type: 'string', description: 'Bearer TOKEN' },
                'Sec-WebSocket-Protocol': { type: 'string', description: `${SUBPROTOCOL}, bearer.TOKEN` },
              },
            },
          },
        },
      },
    },
    operations: Object.fromEntries([
      ...receive,
      [
        'push',
        {
          action: 'send',
          channel: { $ref: '#/channels/connection' },
          summary: 'What the server sends by itself',
          messages: pushed.map((type) => ref(`server.${type}`)),
        },
      ],
    ]),
    components: {
      messages,
      schemas,
      securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
    },
  };
}

export function renderProtocol(): string {
  const head =
    '# Made from app/src/handlers and app/tools/lib/server-messages.ts by `npm run protocol-docs`. A test fails when they differ.\n';
  return head + stringify(describeProtocol(), { lineWidth: 0, aliasDuplicateObjects: false });
}

if (import.meta.main) writeFileSync(file, renderProtocol());
