/** Lint, types and dependency rules, as tests: one run says all. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const options = { cwd: root, maxBuffer: 16 * 1024 * 1024 };

/** The output of an npm script that succeeds, or of one that fails as the error. */
async function script(name: string): Promise<void> {
  try {
    await run('npm', ['run', '--silent', name], options);
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`npm run ${name} failed:\n${stdout}\n${stderr}`);
  }
}

test('the formatter and the linter have nothing to say', () => script('lint'), 120_000);
test('every type checks', () => script('types'), 120_000);
test('no import breaks the rules of the architecture', () => script('imports'), 120_000);

test('the dependency rules see a forbidden import', async () => {
  const folder = await mkdtemp(join(root, 'app/src/broker/forbidden-'));
  try {
    await writeFile(join(folder, 'wrong.ts'), "import '../../rooms/hub.ts';\nimport 'express';\n");
    const failed = await run('npx', ['depcruise', '--config', '.dependency-cruiser.mjs', folder], options).catch(
      (error: { stdout: string }) => error,
    );
    expect(failed).toHaveProperty('code');
    expect(failed.stdout).toMatch(/broker\/: .*wrong\.ts → app\/src\/rooms\/hub\.ts/);
    expect(failed.stdout).toMatch(/express-in-http\/: .*wrong\.ts/);
  } finally {
    await rm(folder, { recursive: true });
  }
}, 60_000);
