/** Building the page. */
export { h } from '../../../app/public/element.ts';

/** The element of page.html with this id. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`page.html has no #${id}`);
  return element as T;
}

export function styled<T extends HTMLElement>(element: T, style: Readonly<Record<string, string>>): T {
  for (const [name, value] of Object.entries(style)) element.style.setProperty(name, value);
  return element;
}

const HUES = [185, 70, 300, 15, 250, 140, 45, 345];

/** A hue for each name: neighbours by number (app1, app2, ...) never share one; other names get one by their place. */
export function hueOf(name: string, place = 0): number {
  const number = /^app(\d+)$/.exec(name)?.[1];
  return HUES[(number === undefined ? place : Number(number) + 7) % HUES.length] ?? 185;
}
