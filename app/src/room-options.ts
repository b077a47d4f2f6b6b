/**
 * Options of rooms by name (`ROOMS_FILE`, rooms.yml): how much history, presence, who may publish. A key is a room, or the
 * beginning of several with `*` at its end; of those that fit a room the longest counts, alone. Whatever it does not say, and
 * every room that no key fits, is as the configuration has it. Reserved rooms have no options.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { type Config, ConfigError, duration } from './config.ts';

export interface RoomOptions {
  /** Messages and milliseconds, as `HISTORY_SIZE` and `HISTORY_TTL`. */
  history: { size: number; ttl: number };
  /** Whether members are counted and listed. */
  presence: boolean;
  /** Whether members get user_joined, user_left and summaries. */
  events: boolean;
  /** Users; undefined: no limit. */
  maxMembers: number | undefined;
  /** Whether only the server API publishes. */
  publish: 'members' | 'api';
}

export type RoomOptionsOf = (room: string) => RoomOptions;

const MAX_BYTES = 262_144;
const KEY = /^(?=.)[\w.:-]{0,128}\*?$/;
const app = resolve(import.meta.dirname, '..');

const ofRoom = z
  .strictObject({
    history: z.strictObject({ size: z.int().min(1).max(1_000_000).optional(), ttl: duration.optional() }).optional(),
    presence: z.boolean().optional(),
    events: z.boolean().optional(),
    maxMembers: z.int().min(1).max(1_000_000).optional(),
    publish: z.enum(['members', 'api']).optional(),
  })
  .refine(({ presence, maxMembers }) => presence !== false || maxMembers === undefined, {
    message: 'needs presence, which counts the members',
    path: ['maxMembers'],
  });
const file = z.record(z.string().regex(KEY, 'expected a room, or its beginning and *'), ofRoom).nullable();

/** @throws {ConfigError} naming the line and the key of every problem */
export async function loadRoomOptions(
  config: Pick<Config, 'ROOMS_FILE' | 'HISTORY_SIZE' | 'HISTORY_TTL'>,
): Promise<RoomOptionsOf> {
  const defaults: RoomOptions = {
    history: { size: config.HISTORY_SIZE, ttl: config.HISTORY_TTL },
    presence: true,
    events: true,
    maxMembers: undefined,
    publish: 'members',
  };
  const entries = Object.entries(await read(config.ROOMS_FILE)).map(([key, { history, ...rest }]) => ({
    name: key.replace(/\*$/, ''),
    isPrefix: key.endsWith('*'),
    options: { ...defaults, ...withoutUndefined(rest), history: { ...defaults.history, ...withoutUndefined(history) } },
  }));
  // Longest first, and of the same length the exact one.
  entries.sort((a, b) => b.name.length - a.name.length || Number(a.isPrefix) - Number(b.isPrefix));
  return (room) =>
    (room.startsWith('@')
      ? undefined
      : entries.find(({ name, isPrefix }) => (isPrefix ? room.startsWith(name) : room === name))?.options) ?? defaults;
}

function withoutUndefined<T extends object>(object: T | undefined) {
  return Object.fromEntries(Object.entries(object ?? {}).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

async function read(name: string): Promise<Record<string, z.output<typeof ofRoom>>> {
  const path = resolve(app, name);
  const fail = (problems: string[]) => {
    throw new ConfigError(problems.map((problem) => `ROOMS_FILE: ${path}${problem}`));
  };
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    fail([`: cannot be read (${(error as NodeJS.ErrnoException).code})`]);
  }
  if (text.length > MAX_BYTES) fail([`: is larger than ${MAX_BYTES} bytes`]);
  if (!/^\s*[^\s#]/m.test(text)) return {};
  // Loaded on demand: most do without.
  const { isMap, isScalar, LineCounter, parseDocument } = await import('yaml');
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const lineOf = (offset = 0) => lineCounter.linePos(offset).line;
  if (document.errors.length > 0) fail(document.errors.map(({ message, pos }) => `:${lineOf(pos[0])}: ${message}`));
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    // Aliases without an anchor, or that multiply.
    fail([`: ${error instanceof Error ? error.message : error}`]);
  }
  const parsed = file.safeParse(value);
  if (parsed.success) return parsed.data ?? {};
  const problems = parsed.error.issues.flatMap(({ path: keys, message, ...issue }) => {
    // An unknown key is an issue of the map that has it.
    const paths = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...keys, key]) : [keys];
    return paths.map((each) => {
      const what = issue.code === 'unrecognized_keys' ? 'unknown option' : reasonOf(message, issue);
      return `:${lineOf(offsetOf(each))}: ${each.map(String).join(' > ') || 'the file'}: ${what}`;
    });
  });
  fail(problems);
  return {};

  /** Where the key of a path stands, or what comes closest to it. */
  function offsetOf(keys: readonly PropertyKey[]): number | undefined {
    let node: unknown = document.contents;
    let offset: number | undefined;
    for (const key of keys) {
      const pair = isMap(node) ? node.items.find((item) => isScalar(item.key) && item.key.value === key) : undefined;
      if (!pair || !isScalar(pair.key)) break;
      offset = pair.key.range?.[0];
      node = pair.value;
    }
    return offset;
  }
}

/** Of a key that does not fit, zod says only that; its own issue says why. */
const reasonOf = (message: string, issue: object): string =>
  ('issues' in issue && Array.isArray(issue.issues) && (issue.issues[0]?.message as string | undefined)) || message;
