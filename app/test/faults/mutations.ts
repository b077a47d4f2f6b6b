/** Ways to switch one mechanism off, each a stretch of source text and what takes its place; and what then shows it. */
export interface Mutation {
  /** Below app/. */
  file: string;
  from: string;
  to: string;
  /** The scenario that must then report `shows`. */
  scenario: number;
  shows: 'lost' | 'doubled';
}

export const mutations: Readonly<Record<string, Mutation>> = {
  resume: {
    file: 'src/handlers/join-room.ts',
    from: 'rooms.join(connection, room, position, (joined)',
    to: 'rooms.join(connection, room, undefined, (joined)',
    scenario: 2,
    shows: 'lost',
  },
  backfill: {
    file: 'src/rooms/room-feed.ts',
    from: 'if (position.offset === cursor.offset + 1) emit(position.offset, body);',
    to: 'if (position.offset > cursor.offset) emit(position.offset, body);',
    scenario: 16,
    shows: 'lost',
  },
  audit: {
    file: 'src/rooms/subscriptions.ts',
    from: 'if (broker.ready) syncAll(auditedPart);',
    to: '',
    scenario: 16,
    shows: 'lost',
  },
  canary: {
    file: 'src/broker/redis-broker.ts',
    from: 'link.replaceSubscriber();',
    to: '',
    scenario: 7,
    shows: 'lost',
  },
  'epoch fencing': {
    file: 'src/broker/room.lua',
    from: 'if meta[4] == generation then return room end',
    to: 'if true then return room end',
    scenario: 13,
    shows: 'lost',
  },
  idempotency: {
    file: 'src/broker/publish.lua',
    from: "local earlier = redis.call('GET', KEYS[3])",
    to: 'local earlier = false',
    scenario: 11,
    shows: 'doubled',
  },
  'the client’s dedupe': {
    file: 'client/src/rooms.ts',
    from: 'if (position.offset <= room.position.offset) return false;',
    to: '',
    scenario: 1,
    shows: 'doubled',
  },
};
