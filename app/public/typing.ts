/** Who is typing where. A notice ends with the person's message, or by itself. */
import type { Member } from '/client/index.ts';
import type { Conversation } from './conversations.ts';

export interface Typing {
  set(conversation: Conversation, member: Member, isTyping: boolean): void;
}

/** A notice that is not said again ends after this. */
const TYPING_MS = 6_000;

export function createTyping(options: { handleChange(conversation: Conversation): void }): Typing {
  const timers = new Map<string, ReturnType<typeof setTimeout>>();

  function set(conversation: Conversation, member: Member, isTyping: boolean): void {
    const key = `${conversation.id} ${member.userId}`;
    clearTimeout(timers.get(key));
    timers.delete(key);
    if (isTyping) {
      conversation.typing.set(member.userId, member.username);
      timers.set(
        key,
        setTimeout(() => set(conversation, member, false), TYPING_MS),
      );
    } else {
      conversation.typing.delete(member.userId);
    }
    options.handleChange(conversation);
  }

  return { set };
}

/** A line for those who see it, empty when nobody types. */
export function typingText({ typing }: Conversation): string {
  const [first, second, third] = typing.values();
  if (first === undefined) return '';
  if (second === undefined) return `${first} is typing`;
  return third === undefined ? `${first} and ${second} are typing` : 'Several people are typing';
}
