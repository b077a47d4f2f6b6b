/**
 * Builds what browsers get into app/dist: node app/tools/build-pages.ts [--watch]
 *
 *   public/index.html                   the demo page
 *   public/assets/NAME-HASH.js, .css    its script and styles, named by their content
 *   public/client/index.js              the client, as one module
 *   api/                                the page of the server API: Swagger UI
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
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';

const app = resolve(import.meta.dirname, '..');
const client = join(app, 'client/src/index.ts');
const dist = join(app, 'dist');
const swaggerUi = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
const SWAGGER_UI = ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png', 'LICENSE', 'NOTICE'];
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
  for (const folder of [
    'public',
    'api-page',
    'client/src',
    'tools/build-pages.ts',
    'src/close-codes.ts',
    'package.json',
  ]) {
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
  const pages = join(next, 'public');
  mkdirSync(join(pages, 'assets'), { recursive: true });
  const script = await bundle(join(app, 'public/demo.ts'), pages, 'assets/demo-[hash].js');
  await bundle(client, pages, 'client/index.js');
  const css = STYLES.map((file) => readFileSync(join(app, 'public', file), 'utf8')).join('\n');
  const style = `assets/style-${createHash('sha256').update(css).digest('base64url').slice(0, 8)}.css`;
  writeFileSync(join(pages, style), css);
  cpSync(join(app, 'public/icon.svg'), join(pages, 'icon.svg'));
  const page = readFileSync(join(app, 'public/index.html'), 'utf8')
    .replace(/( *<link rel="stylesheet" href="[\w-]+\.css">\n)+/, `    <link rel="stylesheet" href="${style}">\n`)
    .replace('src="demo.ts"', `src="${script}"`);
  writeFileSync(join(pages, 'index.html'), page);
  cpSync(join(app, 'api-page'), join(next, 'api'), { recursive: true });
  for (const file of SWAGGER_UI) cpSync(join(swaggerUi, file), join(next, 'api', file));
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
    // Swagger UI would take several seconds at the highest quality.
    const quality = text.length > 500_000 ? 9 : 11;
    writeFileSync(`${file}.br`, brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: quality } }));
    writeFileSync(`${file}.gz`, gzipSync(text, { level: 9 }));
  }
}

if (import.meta.main) {
  await buildPages();
  if (process.argv.includes('--watch')) {
    let building = Promise.resolve();
    for (const folder of ['public', 'api-page', 'client/src']) {
      watch(join(app, folder), () => {
        building = building.then(buildPages).catch((error: Error) => console.error(error.message));
      });
    }
  }
}
