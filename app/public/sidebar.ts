/** Rooms and direct conversations with their unread counts, the field to join a room, and who one is. */
import type { Conversation, Conversations } from './conversations.ts';
import { avatar, byId, count, h } from './element.ts';

export interface Sidebar {
  render(): void;
  showMe(username: string): void;
  focusJoin(): void;
}

/** The server's rule for names of rooms. */
const ROOM_NAME = /^[\w.:-]{1,128}$/;

export function createSidebar(options: {
  conversations: Conversations;
  handleChoose(conversation: Conversation): void;
  handleJoin(room: string): void;
  handleSignOut(): void;
}): Sidebar {
  const { conversations } = options;
  const panel = byId('rooms-panel');
  const rooms = byId('rooms');
  const directs = byId('directs');
  const directsSection = byId('directs-section');
  const elsewhere = byId('unread-elsewhere');
  const joinForm = byId<HTMLFormElement>('join-form');
  const joinInput = byId<HTMLInputElement>('join-name');
  const joinError = byId('join-error');

  function renderOne(conversation: Conversation): HTMLLIElement {
    const { id, kind, title, unread } = conversation;
    const current = conversation === conversations.current;
    const button = h(
      'button',
      { type: 'button', className: 'row', data: { id }, onclick: () => choose(conversation) },
      kind === 'direct'
        ? avatar(title)
        : h('span', { className: 'sign', ariaHidden: 'true' }, kind === 'everyone' ? '∗' : '#'),
      h('span', { className: 'label', dir: 'auto' }, title),
      unread > 0
        ? h('span', { className: 'badge', ariaLabel: `${unread} unread` }, unread > 99 ? '99+' : String(unread))
        : undefined,
    );
    if (current) button.ariaCurrent = 'true';
    return h('li', {}, button);
  }

  function choose(conversation: Conversation): void {
    if (panel.matches(':popover-open')) panel.hidePopover();
    options.handleChoose(conversation);
  }

  joinForm.addEventListener('submit', (event) => {
    event.preventDefault();
    const name = joinInput.value.trim().replace(/^#/, '').replace(/\s+/g, '-');
    if (!ROOM_NAME.test(name)) {
      joinError.textContent = name === '' ? 'Which room?' : 'Letters without accents, digits and _ . : - only.';
      joinInput.ariaInvalid = 'true';
      joinInput.focus();
      return;
    }
    joinInput.value = '';
    if (panel.matches(':popover-open')) panel.hidePopover();
    options.handleJoin(name);
  });
  joinInput.addEventListener('input', () => {
    joinError.textContent = '';
    joinInput.ariaInvalid = 'false';
  });
  byId('sign-out').addEventListener('click', options.handleSignOut);

  return {
    render() {
      const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset['id'] : undefined;
      rooms.replaceChildren(...conversations.all.filter(({ kind }) => kind !== 'direct').map(renderOne));
      const personal = conversations.all.filter(({ kind }) => kind === 'direct');
      directs.replaceChildren(...personal.map(renderOne));
      directsSection.hidden = personal.length === 0;
      if (focused) panel.querySelector<HTMLElement>(`[data-id="${CSS.escape(focused)}"]`)?.focus();
      const unread = conversations.all.reduce((sum, each) => sum + each.unread, 0);
      elsewhere.hidden = unread === 0;
      elsewhere.textContent = unread > 99 ? '99+' : String(unread);
      elsewhere.ariaLabel = count(unread, 'unread message');
      document.title = unread > 0 ? `(${unread}) wsfleet` : 'wsfleet';
    },
    showMe(username) {
      byId('me').replaceChildren(avatar(username), h('span', { className: 'label', dir: 'auto' }, username));
    },
    focusJoin() {
      if (!joinInput.checkVisibility()) panel.showPopover();
      joinInput.focus();
    },
  };
}
