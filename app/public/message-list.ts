/** The messages of one conversation, newest at the bottom and in view unless the reader has scrolled up. */
import { type Conversation, type Entry, MAX_ENTRIES, type Part } from './conversations.ts';
import { avatar, byId, h, instanceChip, timeOf } from './element.ts';

/** A message soon after another of the same person by the same instance stands under the same head. */
const GROUP_MS = 5 * 60_000;
/** Closer to the end than this (pixels) counts as being there. */
const NEAR_END = 80;

export interface MessageList {
  show(conversation: Conversation): void;
  /** Shows an entry that was just added to the conversation that is shown. */
  append(entry: Entry): void;
  focus(): void;
}

export function createMessageList(options: {
  handleRetry(entry: Entry & { kind: 'failed' }): void;
  handleDiscard(entry: Entry & { kind: 'failed' }): void;
}): MessageList {
  const scroller = byId('messages-scroll');
  const list = byId('messages');
  const empty = byId('empty');
  const toNewest = byId('to-newest');
  let last: Entry | undefined;

  const isAtEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END;

  function toEnd(): void {
    scroller.scrollTop = scroller.scrollHeight;
    toNewest.hidden = true;
  }

  function add(entry: Entry): void {
    list.append(render(entry, last));
    last = entry;
    if (list.childElementCount <= MAX_ENTRIES) return;
    list.firstElementChild?.remove();
    list.firstElementChild?.classList.remove('continued');
  }

  function render(entry: Entry, before: Entry | undefined): HTMLElement {
    if (entry.kind === 'note') {
      return h('div', { className: 'note-line' }, h('span', {}, ...entry.parts.map(renderPart)), timeOf(entry.at));
    }
    if (entry.kind === 'failed') return renderFailed(entry);
    const { from, content, at, own } = entry;
    return h(
      'div',
      { className: `message${own ? ' own' : ''}${continues(entry, before) ? ' continued' : ''}` },
      avatar(from.username),
      h(
        'div',
        { className: 'head' },
        h('strong', { dir: 'auto', className: 'name' }, from.username),
        own ? h('span', { className: 'you' }, 'you') : undefined,
        timeOf(at),
        instanceChip(from.instanceId),
      ),
      h('p', { className: 'text', dir: 'auto', title: new Date(at).toLocaleTimeString() }, content),
    );
  }

  function renderFailed(entry: Entry & { kind: 'failed' }): HTMLElement {
    return h(
      'div',
      { className: 'message failed' },
      h('p', { className: 'text', dir: 'auto' }, entry.content),
      h(
        'p',
        { className: 'failed-actions' },
        h('span', {}, `Not sent: ${entry.reason}`),
        h('button', { type: 'button', className: 'link', onclick: () => options.handleRetry(entry) }, 'Send again'),
        h('button', { type: 'button', className: 'link', onclick: () => options.handleDiscard(entry) }, 'Discard'),
      ),
    );
  }

  scroller.addEventListener('scroll', () => {
    if (isAtEnd()) toNewest.hidden = true;
  });
  toNewest.addEventListener('click', () => {
    toEnd();
    scroller.focus();
  });
  // A keyboard that opens, or a banner, must not push the newest message out of view.
  let wasAtEnd = true;
  scroller.addEventListener('scroll', () => {
    wasAtEnd = isAtEnd();
  });
  new ResizeObserver(() => {
    if (wasAtEnd) toEnd();
  }).observe(scroller);

  return {
    show(conversation) {
      // Not news: a screen reader stays silent.
      list.ariaLive = 'off';
      last = undefined;
      list.replaceChildren();
      for (const entry of conversation.entries) add(entry);
      empty.hidden = conversation.entries.length > 0;
      empty.textContent = invitation(conversation);
      toEnd();
      requestAnimationFrame(() => {
        list.ariaLive = 'polite';
      });
    },
    append(entry) {
      const follow = isAtEnd() || (entry.kind === 'message' && entry.own);
      empty.hidden = true;
      add(entry);
      if (follow) toEnd();
      else if (entry.kind === 'message') toNewest.hidden = false;
    },
    focus: () => scroller.focus(),
  };
}

function continues(entry: Entry & { kind: 'message' }, before: Entry | undefined): boolean {
  if (before?.kind !== 'message' || entry.at - before.at > GROUP_MS) return false;
  return before.from.userId === entry.from.userId && before.from.instanceId === entry.from.instanceId;
}

function invitation({ kind, title }: Conversation): string {
  if (kind === 'everyone') return 'What you write here reaches everyone who is connected, on every instance.';
  if (kind === 'direct') return `Only ${title} and you read this.`;
  return `No messages yet. Open this page in a second tab under another name, and meet in ${title}.`;
}

export function renderPart(part: Part): Node | string {
  return typeof part === 'string' ? part : instanceChip(part.instance);
}
