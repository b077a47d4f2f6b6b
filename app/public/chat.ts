/** The chat: ties the client's events to what the page knows and shows. Lives as long as the page. */
import { type Client, createClient, ROOM_ALL, ROOM_ME } from '/client/index.ts';
import { createComposer } from './composer.ts';
import { type Conversation, createConversations, type Entry } from './conversations.ts';
import { byId, count } from './element.ts';
import { createMessageList } from './message-list.ts';
import { followConnection } from './moves.ts';
import { reasonOf } from './reasons.ts';
import { loadRooms, saveRooms } from './saved-rooms.ts';
import { createSessionTokens, type Session } from './session.ts';
import { listenForShortcuts } from './shortcuts.ts';
import { createSidebar } from './sidebar.ts';
import { createStatus } from './status.ts';
import { createTyping, typingText } from './typing.ts';

/** A message without an ack after this time (ms) is shown as waiting. */
const UNSENT_AFTER = 500;

/** @param leave ends the session; with a message for the person when it was not their wish */
export function startChat(session: Session, leave: (why?: string) => void): void {
  const tokens = createSessionTokens(session);
  const saved = loadRooms();
  const client: Client = createClient({
    url: new URL('/ws', location.href),
    token: tokens.provide,
    rooms: [ROOM_ALL, ROOM_ME, ...saved.rooms],
  });
  const conversations = createConversations();
  /** Rooms whose members have been asked for since they were joined last. */
  const listed = new Set<string>();
  const typing = createTyping({
    handleChange: (conversation) => conversation === conversations.current && renderTyping(),
  });

  const sidebar = createSidebar({
    conversations,
    handleChoose: show,
    handleJoin: (room) => show(openRoom(room)),
    handleSignOut: signOut,
  });
  const status = createStatus({
    doubt: session.demo ? '' : ', or it does not accept your token',
    handleRetry: client.retry,
    handleMember(member) {
      const panel = byId('status-panel');
      if (panel.matches(':popover-open')) panel.hidePopover();
      show(conversations.direct(member));
    },
  });
  const messages = createMessageList({
    handleRetry(entry) {
      discard(entry);
      void send(conversations.current, entry.content);
    },
    handleDiscard: discard,
  });
  const composer = createComposer({
    handleSend: (content) => void send(conversations.current, content),
    handleTyping(isTyping) {
      const { kind, id } = conversations.current;
      if (kind === 'room') client.typing(id, isTyping);
    },
    handleEscape: messages.focus,
  });
  listenForShortcuts({
    next: (step) => show(conversations.neighbour(step)),
    join: sidebar.focusJoin,
    compose: composer.focus,
  });

  const ownId = () => client.user?.userId;
  const isSeen = (conversation: Conversation) =>
    conversation === conversations.current && document.visibilityState === 'visible';

  function show(conversation: Conversation): void {
    conversations.current.draft = composer.text;
    conversations.current = conversation;
    composer.text = conversation.draft;
    composer.setPlaceholder(
      conversation.kind === 'room' ? `Message #${conversation.title}` : `Message ${conversation.title}`,
    );
    messages.show(conversation);
    sidebar.render();
    renderTitle();
    renderTyping();
    listMembers(conversation);
    saveRooms({
      rooms: conversations.all.filter(({ kind }) => kind === 'room').map(({ id }) => id),
      current: conversation.id,
    });
    // On a phone the keyboard would cover what one came to see.
    if (matchMedia('(hover: hover)').matches) composer.focus();
  }

  function renderTitle(): void {
    const { kind, title, memberCount } = conversations.current;
    byId('room-title').textContent = kind === 'room' ? `#${title}` : title;
    byId('room-subtitle').textContent =
      kind === 'everyone'
        ? 'All rooms, all instances'
        : kind === 'direct'
          ? 'Direct messages'
          : count(memberCount, 'member');
    byId('leave').hidden = kind === 'everyone';
    status.showMembers(conversations.current, ownId());
  }

  function renderTyping(): void {
    const waiting = unsent > 0 ? `${count(unsent, 'message')} waiting to be sent…` : '';
    byId('typing').textContent = waiting || typingText(conversations.current);
  }

  function add(conversation: Conversation, entry: Entry): void {
    conversations.add(conversation, entry, isSeen(conversation));
    if (conversation === conversations.current) messages.append(entry);
    sidebar.render();
  }

  function openRoom(name: string): Conversation {
    client.join(name).catch(() => undefined);
    return conversations.room(name);
  }

  /** A page that shows no room asks for no members: each question counts against the rate limit. */
  function listMembers(conversation: Conversation): void {
    if (conversation.kind !== 'room' || listed.has(conversation.id) || client.state.name !== 'open') return;
    listed.add(conversation.id);
    client.listMembers(conversation.id).then(
      ({ members = [], memberCount }) => {
        conversation.members = new Map(members.map((member) => [member.userId, member]));
        conversation.memberCount = memberCount;
        if (conversation === conversations.current) renderTitle();
      },
      () => listed.delete(conversation.id),
    );
  }

  /** Messages that the client keeps and sends as soon as it can: no connection, or the rate limit. */
  let unsent = 0;
  const countUnsent = (change: number) => {
    unsent += change;
    renderTyping();
  };

  async function send(conversation: Conversation, content: string): Promise<void> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      countUnsent(1);
    }, UNSENT_AFTER);
    try {
      if (conversation.kind === 'direct') {
        await client.direct({ userId: conversation.userId ?? '' }, content);
        addOwnDirect(conversation, content);
      } else {
        await client.chat(content, conversation.id);
      }
    } catch (error) {
      add(conversation, { kind: 'failed', content, reason: reasonOf(error, conversation), at: Date.now() });
    } finally {
      clearTimeout(timer);
      if (late) countUnsent(-1);
    }
  }

  /** A room's messages come back to their sender; a direct message goes only to its recipient. */
  function addOwnDirect(conversation: Conversation, content: string): void {
    const { user, state } = client;
    if (!user || state.name !== 'open') return;
    const { userId, username } = user;
    const from = { userId, username, clientId: state.clientId, instanceId: state.instanceId };
    add(conversation, { kind: 'message', from, own: true, content, at: Date.now() });
  }

  function discard(entry: Entry): void {
    const { current } = conversations;
    current.entries = current.entries.filter((each) => each !== entry);
    messages.show(current);
  }

  function signOut(): void {
    saveRooms(undefined);
    void client.close().then(() => leave());
  }

  client.on('message', ({ room, from, ...message }, at) => {
    const content = typeof message.content === 'string' ? message.content : JSON.stringify(message.content);
    const conversation = room === ROOM_ME ? conversations.direct(from) : conversations.get(room);
    if (!conversation) return;
    typing.set(conversation, from, false);
    add(conversation, { kind: 'message', from, own: from.userId === ownId(), content, at });
  });
  client.on('typing', ({ room, userId, username, isTyping }) => {
    const conversation = conversations.get(room);
    if (conversation && userId !== ownId()) typing.set(conversation, { userId, username }, isTyping);
  });
  client.on('joined_room', ({ room, memberCount }) => {
    const conversation = conversations.get(room);
    if (conversation?.kind !== 'room') return;
    conversation.memberCount = memberCount;
    listed.delete(room);
    if (conversation !== conversations.current) return;
    renderTitle();
    listMembers(conversation);
  });
  for (const [type, word] of [
    ['user_joined', 'joined'],
    ['user_left', 'left'],
  ] as const) {
    client.on(type, ({ room, userId, username, memberCount }, at) => {
      const conversation = conversations.get(room);
      if (!conversation || userId === ownId()) return;
      if (type === 'user_joined') conversation.members.set(userId, { userId, username });
      else conversation.members.delete(userId);
      conversation.memberCount = memberCount;
      typing.set(conversation, { userId, username }, false);
      add(conversation, { kind: 'note', parts: [`${username} ${word}`], at });
      if (conversation === conversations.current) renderTitle();
    });
  }
  // The summed-up news of a large room.
  client.on('members', ({ room, members, memberCount }) => {
    const conversation = conversations.get(room);
    if (!conversation || members) return;
    conversation.memberCount = memberCount;
    if (conversation === conversations.current) renderTitle();
  });
  function noteBreak(room: string, text: string): void {
    const conversation = conversations.get(room);
    if (conversation) add(conversation, { kind: 'note', parts: [text], at: Date.now() });
  }
  client.on('gap', ({ room }) => noteBreak(room, 'Some messages before this point cannot be had any more.'));
  client.on('rewound', ({ room }) => noteBreak(room, 'The server lost some messages: what follows may repeat them.'));
  client.on('connected', ({ limits }) => composer.setLimit(limits.maxContentLength));
  client.on('authenticated', ({ username }) => {
    sidebar.showMe(username);
    renderTitle();
  });
  client.on('state', ({ name }) => composer.setReady(name === 'open'));
  client.on('error', (error, room) => {
    if (room !== undefined) {
      const conversation = conversations.get(room);
      if (conversation) conversations.remove(conversation);
      show(conversations.current);
      status.log([`Could not join ${room}: ${error.message}.`], 'alert');
    } else if (error.code !== 'NO_TOKEN' && error.code !== 'RATE_LIMITED') {
      // The banner shows the first, the unsent message the second.
      status.log([`The server refused: ${error.message}.`]);
    }
  });
  followConnection({
    client,
    status,
    handleLanded: (parts) => add(conversations.current, { kind: 'note', parts, at: Date.now() }),
    handleAttemptFailed: tokens.doubt,
    handleClosed: leave,
  });

  byId('leave').addEventListener('click', () => {
    const { current } = conversations;
    if (current.kind === 'room') client.leave(current.id).catch(() => undefined);
    composer.text = '';
    conversations.remove(current);
    show(conversations.current);
  });
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState !== 'visible') return;
    conversations.current.unread = 0;
    sidebar.render();
  });
  // The window is now wide enough for panels: an open drawer closes.
  matchMedia('(min-width: 68rem)').addEventListener('change', () => {
    for (const panel of document.querySelectorAll<HTMLElement>(':popover-open')) panel.hidePopover();
  });

  for (const room of saved.rooms) conversations.room(room);
  sidebar.showMe(session.username);
  status.showState(client.state);
  byId('chat').hidden = false;
  show(conversations.get(saved.current) ?? conversations.everyone());
  client.connect();
}
