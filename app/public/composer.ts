/** The field that messages are written in. */
import { byId } from './element.ts';

export interface Composer {
  /** The text of the conversation that is shown now. */
  text: string;
  /** Whether sending is possible; what is typed stays either way. */
  setReady(ready: boolean): void;
  setPlaceholder(text: string): void;
  setLimit(characters: number): void;
  focus(): void;
}

/** A typing notice holds for 6 s with the others; it is said again while typing goes on. */
const TYPING_EVERY_MS = 4_000;

export function createComposer(options: {
  handleSend(content: string): void;
  handleTyping(isTyping: boolean): void;
  handleEscape(): void;
}): Composer {
  const form = byId<HTMLFormElement>('composer');
  const field = byId<HTMLTextAreaElement>('composer-text');
  const counter = byId('composer-count');
  const button = form.querySelector('button');
  let ready = false;
  let limit = 4_096;
  let typingSince: number | undefined;

  function update(): void {
    const { length } = field.value;
    counter.textContent = length > limit * 0.8 ? `${length.toLocaleString()} / ${limit.toLocaleString()}` : '';
    counter.classList.toggle('over', length > limit);
    if (button) button.disabled = !ready || field.value.trim() === '' || length > limit;
  }

  function submit(): void {
    update();
    if (!button || button.disabled) return;
    const content = field.value.trim();
    field.value = '';
    // The message itself ends the notice.
    typingSince = undefined;
    update();
    options.handleSend(content);
  }

  function noticeTyping(): void {
    if (field.value === '') {
      if (typingSince !== undefined) options.handleTyping(false);
      typingSince = undefined;
    } else if (typingSince === undefined || Date.now() - typingSince > TYPING_EVERY_MS) {
      typingSince = Date.now();
      options.handleTyping(true);
    }
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit();
    field.focus();
  });
  field.addEventListener('input', () => {
    update();
    noticeTyping();
  });
  field.addEventListener('keydown', (event) => {
    // While an input method composes, Enter chooses a word.
    if (event.isComposing) return;
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      submit();
    } else if (event.key === 'Escape') {
      options.handleEscape();
    }
  });

  return {
    get text() {
      return field.value;
    },
    set text(text) {
      field.value = text;
      typingSince = undefined;
      update();
    },
    setReady(value) {
      ready = value;
      update();
    },
    setPlaceholder(text) {
      field.placeholder = text;
    },
    setLimit(characters) {
      limit = characters;
      update();
    },
    focus: () => field.focus(),
  };
}
