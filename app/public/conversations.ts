/** What the page knows: conversations, who is in them, what was said. No DOM. */
import type { Member, Sender } from '/client/index.ts';

/** A piece of a line: text, or an instance to show as a chip. */
export type Part = string | { instance: string };

export type Entry =
  | { kind: 'message'; from: Sender; own: boolean; content: string; at: number }
  | { kind: 'note'; parts: Part[]; at: number }
  /** An own message that did not get through. */
  | { kind: 'failed'; content: string; reason: string; at: number };

export interface Conversation {
  /** The room's name, or `user:` and the id of the other user. */
  readonly id: string;
  readonly kind: 'everyone' | 'room' | 'direct';
  title: string;
  /** The user that a direct conversation is with. */
  readonly userId: string | undefined;
  entries: Entry[];
  unread: number;
  members: Map<string, Member>;
  memberCount: number;
  /** User id to name. */
  typing: Map<string, string>;
  /** What was typed and not sent. */
  draft: string;
}

/** What is kept of a conversation, and shown. */
export const MAX_ENTRIES = 300;

export interface Conversations {
  readonly all: readonly Conversation[];
  current: Conversation;
  get(id: string): Conversation | undefined;
  everyone(): Conversation;
  room(name: string): Conversation;
  direct(member: Member): Conversation;
  remove(conversation: Conversation): void;
  /** Adds an entry; counts it as unread where it is a message that nobody is looking at. */
  add(conversation: Conversation, entry: Entry, seen: boolean): void;
  neighbour(step: 1 | -1): Conversation;
}

const orders = { everyone: 0, room: 1, direct: 2 };

export function createConversations(): Conversations {
  const everyone = create({ id: '@all', kind: 'everyone', title: 'Everyone', userId: undefined });
  let all = [everyone];
  let current = everyone;

  function open(init: Parameters<typeof create>[0]): Conversation {
    const known = all.find(({ id }) => id === init.id);
    if (known) return known;
    const opened = create(init);
    all = [...all, opened].sort((a, b) => orders[a.kind] - orders[b.kind]);
    return opened;
  }

  return {
    get all() {
      return all;
    },
    get current() {
      return current;
    },
    set current(conversation) {
      current = conversation;
      current.unread = 0;
    },
    get: (wanted) => all.find(({ id }) => id === wanted),
    everyone: () => everyone,
    room: (name) => open({ id: name, kind: 'room', title: name, userId: undefined }),
    direct: ({ userId, username }) => open({ id: `user:${userId}`, kind: 'direct', title: username, userId }),
    remove(conversation) {
      const index = all.indexOf(conversation);
      all = all.filter((each) => each !== conversation);
      if (current === conversation) current = all[Math.max(0, index - 1)] ?? everyone;
    },
    add(conversation, entry, seen) {
      conversation.entries.push(entry);
      if (conversation.entries.length > MAX_ENTRIES) conversation.entries.shift();
      if (entry.kind === 'message' && !entry.own && !seen) conversation.unread += 1;
    },
    neighbour: (step) => all[(all.indexOf(current) + step + all.length) % all.length] ?? everyone,
  };
}

function create(init: Pick<Conversation, 'id' | 'kind' | 'title' | 'userId'>): Conversation {
  return { ...init, entries: [], unread: 0, members: new Map(), memberCount: 0, typing: new Map(), draft: '' };
}
