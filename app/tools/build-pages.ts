/**
 * Builds what browsers get into app/dist: node app/tools/build-pages.ts [--watch]
 *
 *   index.html                   the demo page
 *   assets/NAME-HASH.js, .css    its script and styles, named by their content
 *   client/index.js              the client, as one module
 *
 * Scripts have source maps. Text files also have a .br and a .gz variant, which the public listener sends.
 */

import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';

const app = resolve(import.meta.dirname, '..');
const client = join(app, 'client/src/index.ts');
const dist = join(app, 'dist');
const STYLES = ['style.css', 'sign-in.css', 'chat.css'];

async function bundle(input: string, to: string, file: string): Promise<string> {
  const build = await rolldown({
    input,
    cwd: app,
    tsconfig: false,
    resolve: { alias: { '/client/index.ts': client } },
  });
  try {
    const { output } = await build.write({ dir: to, entryFileNames: file, sourcemap: true, minify: true });
    return output[0].fileName;
  } finally {
    await build.close();
  }
}

/** What the result depends on. */
function digest(): string {
  const hash = createHash('sha256');
  for (const folder of ['public', 'client/src', 'tools/build-pages.ts', 'src/close-codes.ts', 'package.json']) {
    const files = folder.includes('.') ? [''] : readdirSync(join(app, folder)).sort();
    for (const file of files) hash.update(`${file}\0`).update(readFileSync(join(app, folder, file)));
  }
  return hash.digest('hex');
}

/** Builds app/dist, unless it is up to date. */
export async function buildPages(): Promise<void> {
  const source = digest();
  const mark = join(dist, '.source');
  if (existsSync(mark) && readFileSync(mark, 'utf8') === source) return;
  // Built aside and put in place at the end, so that a running instance always has a whole one.
  const next = `${dist}.${process.pid}`;
  mkdirSync(join(next, 'assets'), { recursive: true });
  const script = await bundle(join(app, 'public/demo.ts'), next, 'assets/demo-[hash].js');
  await bundle(client, next, 'client/index.js');
  const css = STYLES.map((file) => readFileSync(join(app, 'public', file), 'utf8')).join('\n');
  const style = `assets/style-${createHash('sha256').update(css).digest('base64url').slice(0, 8)}.css`;
  writeFileSync(join(next, style), css);
  cpSync(join(app, 'public/icon.svg'), join(next, 'icon.svg'));
  const page = readFileSync(join(app, 'public/index.html'), 'utf8')
    .replace(/( *<link rel="stylesheet" href="[\w-]+\.css">\n)+/, `    <link rel="stylesheet" href="${style}">\n`)
    .replace('src="demo.ts"', `src="${script}"`);
  writeFileSync(join(next, 'index.html'), page);
  compress(next);
  writeFileSync(join(next, '.source'), source);
  rmSync(dist, { recursive: true, force: true });
  renameSync(next, dist);
}

function compress(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const text = readFileSync(file);
    writeFileSync(`${file}.br`, brotliCompressSync(text));
    writeFileSync(`${file}.gz`, gzipSync(text, { level: 9 }));
  }
}

if (import.meta.main) {
  await buildPages();
  if (process.argv.includes('--watch')) {
    let building = Promise.resolve();
    for (const folder of ['public', 'client/src']) {
      watch(join(app, folder), () => {
        building = building.then(buildPages).catch((error: Error) => console.error(error.message));
      });
    }
  }
}
