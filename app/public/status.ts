/** How the connection is, in words and colour; what happened to it; who is here. */
import type { State } from '/client/index.ts';
import type { Conversation, Part } from './conversations.ts';
import { avatar, byId, h, instanceChip, timeOf } from './element.ts';
import { renderPart } from './message-list.ts';

export interface Status {
  showState(state: State): void;
  showRoundTrip(ms: number): void;
  showMembers(conversation: Conversation, ownId: string | undefined): void;
  /**
   * Adds a line to the activity. A toast shows it for a moment over the page too: `quiet` where the messages tell it to
   * those who listen, `alert` where nothing else does.
   */
  log(parts: Part[], toast?: 'quiet' | 'alert'): void;
}

const MAX_LINES = 50;
const TOAST_MS = 6_000;

const words: Record<State['name'], string> = {
  idle: 'Not connected',
  connecting: 'Connecting',
  open: 'Connected',
  waiting: 'Reconnecting',
  closed: 'Disconnected',
};

export function createStatus(options: {
  /** What else may be wrong when the server does not answer. */
  doubt: string;
  handleRetry(): void;
  handleMember(member: { userId: string; username: string }): void;
}): Status {
  const pill = byId('status-button');
  const pillText = byId('status-text');
  const banner = byId('banner');
  const bannerText = byId('banner-text');
  const bannerNext = byId('banner-next');
  const activity = byId('activity');
  const toasts = byId('toasts');
  const facts = {
    state: byId('fact-state'),
    instance: byId('fact-instance'),
    reconnects: byId('fact-reconnects'),
    trip: byId('fact-trip'),
  };
  let countdown: ReturnType<typeof setInterval> | undefined;
  let reconnects = 0;
  let wasOpen = false;

  function showBanner(state: State): void {
    clearInterval(countdown);
    // The first attempt of all is no trouble worth a banner.
    banner.hidden = state.name === 'open' || (state.name === 'connecting' && state.failures === 0);
    if (banner.hidden) return;
    const waiting = state.name === 'waiting' ? state : undefined;
    byId('retry').hidden = !waiting;
    bannerText.textContent = sayWhy(state);
    bannerNext.textContent = '';
    if (!waiting) return;
    // Beside the text that is read out: a countdown in it would be read every second.
    const count = () => {
      const seconds = Math.max(0, Math.ceil((waiting.retryAt - Date.now()) / 1_000));
      bannerNext.textContent = `Next attempt ${seconds === 0 ? 'now' : `in ${seconds} s`}.`;
    };
    count();
    countdown = setInterval(count, 1_000);
  }

  function sayWhy(state: State): string {
    if (state.name === 'closed') return 'Disconnected.';
    const failures = state.name === 'waiting' || state.name === 'connecting' ? state.failures : 0;
    if (failures > 1) return `The server does not answer${options.doubt}.`;
    return wasOpen ? 'The connection was lost.' : 'There is no connection yet.';
  }

  byId('retry').addEventListener('click', options.handleRetry);

  return {
    showState(state) {
      const word = words[state.name];
      const open = state.name === 'open' ? state : undefined;
      pill.dataset['state'] = state.name;
      pill.ariaLabel = open ? `Connected to ${open.instanceId}; ${open.reconnects} reconnects` : word;
      pillText.replaceChildren(open ? instanceChip(open.instanceId) : word);
      facts.state.replaceChildren(
        h('span', { className: 'dot', data: { state: state.name }, ariaHidden: 'true' }),
        word,
      );
      facts.instance.replaceChildren(open ? instanceChip(open.instanceId) : '–');
      if (open) reconnects = open.reconnects;
      wasOpen ||= open !== undefined;
      facts.reconnects.textContent = String(reconnects);
      if (!open) facts.trip.textContent = '–';
      showBanner(state);
    },
    showRoundTrip(ms) {
      facts.trip.textContent = ms < 1 ? 'under 1 ms' : `${Math.round(ms)} ms`;
    },
    showMembers(conversation, ownId) {
      const members = [...conversation.members.values()].sort((a, b) => a.username.localeCompare(b.username));
      const more = conversation.memberCount - members.length;
      const note =
        conversation.kind === 'everyone'
          ? 'Everyone who is connected to the cluster.'
          : conversation.kind === 'room' && more > 0 && members.length > 0
            ? `and ${more} more`
            : undefined;
      byId('members').replaceChildren(
        ...members.map(({ userId, username }) =>
          h(
            'li',
            {},
            userId === ownId
              ? h(
                  'span',
                  { className: 'row person' },
                  avatar(username),
                  h('span', { className: 'label', dir: 'auto' }, username),
                  h('span', { className: 'you' }, 'you'),
                )
              : h(
                  'button',
                  {
                    type: 'button',
                    className: 'row',
                    title: 'Write a direct message',
                    onclick: () => options.handleMember({ userId, username }),
                  },
                  avatar(username),
                  h('span', { className: 'label', dir: 'auto' }, username),
                ),
          ),
        ),
        ...(note ? [h('li', { className: 'hint' }, note)] : []),
      );
    },
    log(parts, toast) {
      activity.prepend(h('li', {}, timeOf(Date.now()), h('span', {}, ...parts.map(renderPart))));
      if (activity.childElementCount > MAX_LINES) activity.lastElementChild?.remove();
      if (!toast) return;
      const line = h('p', { className: 'toast', role: toast === 'alert' ? 'alert' : null }, ...parts.map(renderPart));
      toasts.replaceChildren(line);
      setTimeout(() => line.remove(), TOAST_MS);
    },
  };
}
