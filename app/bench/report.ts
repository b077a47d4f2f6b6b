/** Puts the measured rows into docs/benchmarks.md, between its markers. */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import packageJson from '../../package.json' with { type: 'json' };
import appPackageJson from '../package.json' with { type: 'json' };
import { type Result, type Row, show } from './side-by-side.ts';

const page = new URL('../../docs/benchmarks.md', import.meta.url);
const BEGIN = '<!-- figures: make bench writes what follows -->\n';
const END = '<!-- end of the figures -->\n';

const range = ({ median, least, most }: Result, mark = '') =>
  `${show(median)}${mark}<br>${show(least)} to ${show(most)}`;

const against = (peer: Result) => `**× ${peer.ratio.toFixed(2)}** ${range(peer, peer.generatorBusy ? ' †' : '')}`;

export function writeReport(rows: readonly Row[]): void {
  const [kit, ...others] = rows[0]?.results.map(({ name }) => name) ?? [];
  const head = ['a second', kit, ...others.map((name) => `the kit against ${name}`)];
  const lines = rows.map(({ title, results: [own, ...peers] }) =>
    [title, own ? range(own) : '', ...peers.map(against)].join(' | '),
  );
  const versions = [
    `Node ${process.version}`,
    `ws ${appPackageJson.dependencies.ws}`,
    `redis ${appPackageJson.dependencies.redis}`,
    `Socket.IO ${packageJson.devDependencies['socket.io']} with its Redis streams adapter ${packageJson.devDependencies['@socket.io/redis-streams-adapter']}`,
  ].join(', ');
  const figures = [
    `Measured on ${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores (${cpus()[0]?.model}), ${versions}.`,
    '',
    `| ${head.join(' | ')} |`,
    `|---|${head
      .slice(1)
      .map(() => '---:|')
      .join('')}`,
    ...lines.map((line) => `| ${line} |`),
    '',
    '† The generator used 95 % of its core or more, so the server could have been faster.',
    '',
  ].join('\n');
  const text = readFileSync(page, 'utf8');
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error('docs/benchmarks.md has lost its markers');
  writeFileSync(page, text.slice(0, begin + BEGIN.length) + figures + text.slice(end));
}
