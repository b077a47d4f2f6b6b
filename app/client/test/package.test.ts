/** The package as others get it: packed, installed into an empty folder, and used there. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApp } from '../../test/harness/app.ts';
import { tokenFor } from '../../test/harness/tokens.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../../..');
const tsc = join(root, 'node_modules/.bin/tsc');
const types = join(root, 'node_modules/@types');

const CONSUMER = `import { createClient, type ServerMessages } from '@wsfleet/client';

export async function say(url: string, token: string, content: string) {
  const client = createClient({ url, token, rooms: ['lobby'] });
  const message = new Promise<ServerMessages['message']>((resolve) => client.on('message', resolve));
  client.connect();
  const { position } = await client.chat(content, 'lobby');
  // @ts-expect-error: were the types not found, anything would do.
  const { nothing, ...said } = await message;
  await client.close();
  return { ...said, acknowledged: position?.offset };
}
`;

let folder: string;
let installed: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wsfleet-client-'));
  installed = join(folder, 'node_modules/@wsfleet/client');
  await run('npm', ['pack', '--workspace=app/client', `--pack-destination=${folder}`], { cwd: root });
  const [tarball = ''] = await readdir(folder);
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await writeFile(join(folder, 'consumer.ts'), CONSUMER);
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', `./${tarball}`], { cwd: folder });
}, 120_000);

afterAll(() => rm(folder, { recursive: true }));

test('has what it needs, and nothing else', async () => {
  expect((await readdir(installed)).sort()).toEqual(['README.md', 'dist', 'package.json']);
  expect((await readdir(join(installed, 'dist'))).sort()).toEqual(['LICENSE', 'index.js', 'types']);
  expect(await readdir(join(folder, 'node_modules/@wsfleet'))).toEqual(['client']);
  const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
  expect(Object.keys(manifest).filter((key) => /dependencies/i.test(key))).toEqual([]);
});

test('speaks to an instance from plain Node', async () => {
  await using app = await startApp();
  const script = `import { say } from './consumer.ts';
    console.log(JSON.stringify(await say(...process.argv.slice(1))));`;
  const { stdout } = await run(
    process.execPath,
    ['--input-type=module', '--eval', script, `${app.origin}/ws`, tokenFor('alice'), 'hello'],
    { cwd: folder },
  );
  expect(JSON.parse(stdout)).toMatchObject({
    room: 'lobby',
    content: 'hello',
    position: { offset: 1 },
    acknowledged: 1,
  });
});

test.for([
  '--module nodenext --lib ES2024 --types node',
  '--module esnext --moduleResolution bundler --lib ES2024,DOM',
])('type-checks by itself with %s', { timeout: 60_000 }, async (options) => {
  const args = `--noEmit --strict --skipLibCheck false --typeRoots ${types} ${options} consumer.ts`.split(' ');
  const { stdout } = await run(tsc, args, { cwd: folder }).catch((error) => error);
  expect(stdout).toBe('');
});

test('is below 6 kB in a page, and its README says how much', async () => {
  const build = await rolldown({ input: join(installed, 'dist/index.js'), platform: 'browser' });
  const { output } = await build.generate({ minify: true });
  await build.close();
  const kilobytes = gzipSync(output[0].code, { level: 9 }).length / 1000;
  console.log(`@wsfleet/client, minified and gzipped: ${kilobytes.toFixed(2)} kB`);
  expect(kilobytes).toBeLessThan(6);
  const [, written] = /([\d.]+) kB minified/.exec(await readFile(join(installed, 'README.md'), 'utf8')) ?? [];
  expect(Math.abs(Number(written) - kilobytes)).toBeLessThan(0.1);
});
