/** What every page of a report is: one file that asks for nothing else, in the demo page's colours. */
import { readFileSync } from 'node:fs';
import { Markup, markup, type Part } from './markup.ts';

const text = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');

/** The tokens are the demo page's own. */
function style(): Markup {
  const [tokens = ''] = /^:root \{.*?^\}/ms.exec(text('../../app/public/style.css')) ?? [];
  return new Markup(tokens + text('report.css'));
}

export function page(title: string, body: Part): string {
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title}</title>
<style>${style()}</style>
</head>
<body>
${body}
</body>
</html>
`.text;
}

export function section(title: string, body: Part, className = ''): Markup {
  const id = title.toLowerCase().replace(/\W+/g, '-');
  return markup`<section class="${className}" aria-labelledby="${id}"><h2 id="${id}">${title}</h2>${body}</section>`;
}

export interface Column {
  readonly name: string;
  /** Figures stand to the right. */
  readonly isFigure?: boolean;
}

/** A table; it scrolls by itself where the page is too narrow. @param caption says what it is to those who do not see it */
export function table(caption: string, columns: readonly Column[], rows: readonly (readonly Part[])[]): Markup {
  const classOf = (index: number) => (columns[index]?.isFigure ? 'figure' : '');
  return markup`<div class="table" role="region" aria-label="${caption}" tabindex="0"><table>
<thead><tr>${columns.map(({ name }, index) => markup`<th scope="col" class="${classOf(index)}">${name}</th>`)}</tr></thead>
<tbody>${rows.map((cells) => markup`<tr>${cells.map((cell, index) => (index === 0 ? markup`<th scope="row" class="${classOf(index)}">${cell}</th>` : markup`<td class="${classOf(index)}">${cell}</td>`))}</tr>\n`)}</tbody>
</table></div>`;
}

export const columns = (...names: readonly string[]): Column[] => names.map((name) => ({ name }));
export const figures = (...names: readonly string[]): Column[] => names.map((name) => ({ name, isFigure: true }));

/** Names and values, in columns where there is room. */
export function pairs(entries: readonly (readonly [name: string, value: Part])[]): Markup {
  return markup`<dl class="pairs">${entries.map(([name, value]) => markup`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** Never by colour alone: a shape, and a word that is read out. */
export function sign(ok: boolean, yes = 'ok', no = 'broke'): Markup {
  return markup`<svg class="sign ${ok ? 'good' : 'bad'}" viewBox="0 0 16 16" role="img" aria-label="${ok ? yes : no}"><path d="${ok ? 'M2.5 8.5l3.7 3.7L13.5 4' : 'M3.5 3.5l9 9m0-9l-9 9'}"/></svg>`;
}

/** A name of many words that may be broken between them: `ws_messages_total` */
export function breakable(name: string): Markup[] {
  return name.split(/(?<=_)/).map((word, index) => (index === 0 ? markup`${word}` : markup`<wbr>${word}`));
}
