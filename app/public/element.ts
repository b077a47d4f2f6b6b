/** Building the page. Text only ever goes in as text nodes. */

export type Child = Node | string | undefined;

type Props<K extends keyof HTMLElementTagNameMap> = Partial<Omit<HTMLElementTagNameMap[K], 'dataset'>> & {
  data?: Record<string, string>;
};

/** A new element with properties (`className`, `onclick`, ...), data attributes and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  { data, ...props }: Props<K> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  Object.assign(element, props);
  Object.assign(element.dataset, data);
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** The element of index.html with this id. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no #${id}`);
  return element as T;
}

/** A small label with the instance's name, in the instance's own colour. */
export function instanceChip(instanceId: string): HTMLElement {
  return h('span', { className: 'chip', data: { hue: String(hueOf(instanceId)) } }, instanceId);
}

/** Initials on a quiet tint; decoration next to the name. */
export function avatar(name: string): HTMLElement {
  const letters = name
    .split(/\s+/)
    .slice(0, 2)
    .map((word) => [...new Intl.Segmenter().segment(word)][0]?.segment ?? '');
  return h(
    'span',
    { className: 'avatar', ariaHidden: 'true', data: { hue: String(hash(name) % 8) } },
    letters.join(''),
  );
}

/** Neighbours by number (app1, app2, ...) never share a colour; other names get one by hash. */
function hueOf(instanceId: string): number {
  const [, number] = /(\d+)$/.exec(instanceId) ?? [];
  return number === undefined ? hash(instanceId) % 8 : (Number(number) + 7) % 8;
}

function hash(text: string): number {
  let value = 0;
  for (const character of text) value = (value * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return value;
}

const timeFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

export function timeOf(at: number): HTMLTimeElement {
  return h('time', { dateTime: new Date(at).toISOString() }, timeFormat.format(at));
}

/** One of something or several of it. */
export function count(number: number, one: string, several = `${one}s`): string {
  return `${number.toLocaleString()} ${number === 1 ? one : several}`;
}
