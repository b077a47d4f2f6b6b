/** The scripts are k6's: they use nothing that it lacks. Types say most of that, which is tested to be so. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { parseSpan } from '../runner/scenarios.ts';
import { createStore } from '../runner/store.ts';
import { isPassed, parseThresholds } from '../runner/thresholds.ts';

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

/** What passes the type check: in ES2022, and not in k6. */
const lacking =
  /\basync\s*(function\s*)?\*|\bfor await\b|\b(Intl|WeakRef|FinalizationRegistry|Atomics|SharedArrayBuffer)\b|\bimport\s*\(/;

test.each([...scripts, ...library])('%s uses nothing of the language that k6 lacks', async (name) => {
  expect(await readFile(join(folder, name), 'utf8')).not.toMatch(lacking);
});

test.each([
  'async function* all() {}',
  'const all = { async *all() {} }',
  'for await (const each of all) use(each)',
  "new Intl.NumberFormat('en')",
  'new WeakRef(all)',
  'Atomics.wait(all, 0, 0)',
  'new SharedArrayBuffer(4)',
  "await import('./lib/test.ts')",
])('%s would be found', (code) => {
  expect(code).toMatch(lacking);
});

// Node's own loader, as the runner has it: the test's would not know `k6`.
const native = createRequire(import.meta.url);
const { installModules } = native('../runner/modules.ts') as typeof import('../runner/modules.ts');
const { loadScript } = native('../runner/script.ts') as typeof import('../runner/script.ts');
const { createVu } = native('../runner/vu.ts') as typeof import('../runner/vu.ts');
installModules();

test.each(scripts.map((name, id) => ({ name, id })))(
  '$name has a threshold that breaks without samples',
  async ({ name, id }) => {
    Object.assign(globalThis, { __ENV: {} });
    const store = createStore();
    const { options } = await loadScript(pathToFileURL(join(folder, name)).href, createVu({ id, scenario: '', store }));
    const thresholds = parseThresholds(options.thresholds ?? {}, store, parseSpan);
    expect(thresholds.filter((each) => !isPassed(each, store.metrics.get(each.metric), 60))).not.toEqual([]);
  },
);

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
