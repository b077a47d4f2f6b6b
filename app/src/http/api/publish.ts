/** The operations that say something: publish, broadcast, direct. Scope `publish`. */
import { z } from 'zod';
import { BrokerUnavailable } from '../../broker/broker.ts';
import { type Content, ROOM_ALL } from '../../protocol.ts';
import type { Publisher } from '../../rooms/publisher.ts';
import type { Caller } from './keys.ts';
import { type AnyOperation, defineOperation } from './operation.ts';
import { Problem, type ProblemDetails } from './problem.ts';
import * as schemas from './schemas.ts';
import { unavailable } from './unavailable.ts';

const receipt = z
  .object({
    position: schemas.position,
    duplicate: z.boolean().meta({ description: 'The message was stored before, at this position' }),
  })
  .meta({ id: 'Receipt' });
type Receipt = z.output<typeof receipt>;

const published = z
  .strictObject({ room: schemas.room, content: schemas.content, id: schemas.id.optional() })
  .meta({ id: 'Message' });
const direct = z
  .strictObject({ userId: schemas.userId, content: schemas.content, id: schemas.id.optional() })
  .meta({ id: 'DirectMessage' });

/** One message, or up to MAX_BATCH of them, which are answered one by one. */
const oneOrMany = <T extends z.ZodType>(message: T) =>
  z.union([message, z.array(message).min(1).max(schemas.MAX_BATCH)]);
const answers = z.union([receipt, z.array(z.union([receipt, schemas.problem]))]);

type Target = Parameters<Publisher['publishFor']>[1];
interface Message {
  target: Target;
  content: Content;
  id: string | undefined;
}

export function createPublishOperations(options: {
  publisher: Pick<Publisher, 'publishFor'>;
  instanceId: string;
  maxContentLength: number;
}): AnyOperation[] {
  const { maxContentLength } = options;

  /** The length of an object is that of its JSON. */
  function checkLength(content: Content): void {
    const length = typeof content === 'string' ? content.length : JSON.stringify(content).length;
    if (length <= maxContentLength) return;
    throw new Problem(400, 'CONTENT_TOO_LONG', `content has ${length} characters; the limit is ${maxContentLength}`);
  }

  async function publish(caller: Caller, { target, content, id }: Message): Promise<Receipt> {
    const wait = caller.limiter.take();
    if (wait > 0) {
      throw new Problem(429, 'RATE_LIMITED', 'too many messages (API_RATE_LIMIT)', {
        retryAfter: Math.ceil(wait / 1000),
      });
    }
    checkLength(content);
    const { name } = caller;
    const from = { userId: `api:${name}`, username: name, clientId: '@api', instanceId: options.instanceId };
    return await options.publisher.publishFor(from, target, content, id);
  }

  /**
   * One after the other, so that a room has them in this order. Once Redis does not answer, the rest is not tried, because a
   * later message must not overtake an earlier one that will be sent again.
   */
  async function publishAll(caller: Caller, messages: readonly Message[]): Promise<(Receipt | ProblemDetails)[]> {
    const results: (Receipt | ProblemDetails)[] = [];
    let stopped: Problem | undefined;
    for (const message of messages) {
      try {
        if (stopped) throw stopped;
        results.push(await publish(caller, message));
      } catch (error) {
        const problem = error instanceof BrokerUnavailable ? unavailable(error) : error;
        if (!(problem instanceof Problem)) throw problem;
        results.push(problem.details);
        if (problem.details.status === 503) stopped ??= unavailable(new BrokerUnavailable({ uncertain: false }));
      }
    }
    return results;
  }

  /** One message or a batch, each to what `targetOf` names. */
  function defineMessageOperation<M extends { content: Content; id?: string | undefined }>(
    operation: Pick<AnyOperation, 'id' | 'path' | 'summary'>,
    schema: z.ZodType<M>,
    targetOf: (message: M) => Target,
  ): AnyOperation {
    const toMessage = (message: M): Message => ({
      target: targetOf(message),
      content: message.content,
      id: message.id,
    });
    return defineOperation({
      ...operation,
      method: 'post',
      scope: 'publish',
      body: oneOrMany(schema),
      answer: answers,
      takesIdempotencyKey: true,
      handle: async ({ caller, body }) =>
        Array.isArray(body) ? publishAll(caller, body.map(toMessage)) : publish(caller, toMessage(body as M)),
    });
  }

  return [
    defineMessageOperation(
      { id: 'publish', path: '/v1/publish', summary: 'Publish a message to a room, or a batch of them' },
      published,
      ({ room }) => ({ room }),
    ),
    defineMessageOperation(
      {
        id: 'direct',
        path: '/v1/direct',
        summary: 'Send a direct message to a user, or a batch of them; a user who is away gets it after coming back',
      },
      direct,
      ({ userId }) => ({ userId }),
    ),
    defineOperation({
      id: 'broadcast',
      method: 'post',
      path: '/v1/broadcast',
      scope: 'publish',
      summary: 'Publish one message to many rooms, or without rooms to everyone',
      body: z.strictObject({
        rooms: z.array(schemas.room).min(1).max(schemas.MAX_BATCH).optional(),
        content: schemas.content,
        id: schemas.id.optional(),
      }),
      answer: z.object({ results: z.array(z.union([receipt, schemas.problem])) }).meta({
        description: 'A result for each room, in the order of the request',
      }),
      takesIdempotencyKey: true,
      async handle({ caller, body: { rooms = [ROOM_ALL], content, id } }) {
        checkLength(content);
        const messages = rooms.map((room) => ({ target: { room }, content, id }));
        return { results: await publishAll(caller, messages) };
      },
    }),
  ];
}
