/** The scripts are k6's: they use nothing that it lacks. Types say most of that, which is tested to be so. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);
const folder = join(import.meta.dirname, '..');

const scripts = (await readdir(folder)).filter((name) => name.endsWith('.ts'));
const library = (await readdir(join(folder, 'lib'))).map((name) => `lib/${name}`);

/** Modules that the scripts may import, all of which the Node runner has. */
const k6Modules = /^k6(\/(crypto|encoding|execution|http|metrics|timers|websockets))?$/;

test.each([...scripts, ...library])(
  '%s imports only k6 and, by their whole names, files of the library',
  async (name) => {
    const text = await readFile(join(folder, name), 'utf8');
    const imports = [...text.matchAll(/(?:from|import)\s+'([^']+)'/g)].map(([, specifier]) => specifier ?? '');
    expect(imports.length + Number(name === 'lib/options.ts' || name === 'lib/ledger.ts')).toBeGreaterThan(0);
    for (const specifier of imports) {
      if (k6Modules.test(specifier)) continue;
      expect(specifier).toMatch(name.startsWith('lib/') ? /^\.\/[a-z-]+\.ts$/ : /^\.\/lib\/[a-z-]+\.ts$/);
    }
  },
);

test.each([...scripts, ...library])('%s keeps no state in a module: k6 has one for each virtual user', async (name) => {
  expect(await readFile(join(folder, name), 'utf8')).not.toMatch(/^(export )?(let|var) /m);
});

test.each(scripts)('%s has thresholds that no run without samples passes', async (name) => {
  const text = await readFile(join(folder, name), 'utf8');
  expect(text).toMatch(/\.\.\.delivered\(settings\)|'deliveries\{step:1\}': \['count>0'\]|proved: \[`count==/);
});

test('every option and every script’s defaults are on one line, as the recipe reads them', async () => {
  const text = await readFile(join(folder, 'lib/options.ts'), 'utf8');
  const known = [...text.matchAll(/\b(?:text|number|span)\('([A-Z_0-9]+)'/g)].map(([, name]) => name ?? '');
  const { stdout } = await run('sed', [
    '-n',
    "s/^  \\([A-Z_0-9]*\\): \\['.*'\\],$/\\1/p",
    join(folder, 'lib/options.ts'),
  ]);
  expect(new Set(stdout.trim().split('\n'))).toEqual(new Set(known));
  for (const name of scripts) expect(await readFile(join(folder, name), 'utf8')).toMatch(/loadOptions\(.*\);$/m);
});

test('what k6 lacks does not pass the type check', async () => {
  const missing = [
    'structuredClone({})',
    "new URL('ws://x')",
    'performance.now()',
    "fetch('http://x')",
    "Buffer.from('x')",
    "btoa('x')",
    'new TextEncoder()',
    'process.env',
    "console.log('x')",
    'setTimeout(() => {}, 1)',
    '[1].toSorted()',
    'enum Colour { Red }',
  ];
  const scratch = await mkdtemp(join(folder, 'lacks-'));
  try {
    await writeFile(
      join(scratch, 'tsconfig.json'),
      JSON.stringify({ extends: '../tsconfig.json', compilerOptions: { types: ['k6'] }, include: ['*.ts'] }),
    );
    await Promise.all(
      missing.map((code, index) => writeFile(join(scratch, `use-${index}.ts`), `export {};\n${code};\n`)),
    );
    const { stdout } = await run('tsc', ['-p', scratch]).catch((error: { stdout: string }) => error);
    for (const [index, code] of missing.entries()) expect(stdout, code).toContain(`use-${index}.ts`);
  } finally {
    await rm(scratch, { recursive: true });
  }
});
