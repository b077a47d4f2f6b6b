/** Serves TypeScript to browsers as it stands in the tree: types stripped, imports left as they are. */
import { readFile, stat } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { type RequestHandler, Router } from 'express';

const FILE = /^\/([\w-]+\.ts)$/;

export function serveTypeScript(folder: string): RequestHandler {
  /** Only files that exist are kept, so the folder bounds it. */
  const stripped = new Map<string, { mtimeMs: number; code: string }>();

  async function load(name: string): Promise<string> {
    const file = join(folder, name);
    const { mtimeMs } = await stat(file);
    const known = stripped.get(name);
    if (known?.mtimeMs === mtimeMs) return known.code;
    const code = stripTypeScriptTypes(await readFile(file, 'utf8'), { mode: 'strip' });
    stripped.set(name, { mtimeMs, code });
    return code;
  }

  return Router().get(FILE, async (request, response, next) => {
    const name = FILE.exec(request.path)?.[1] ?? '';
    try {
      response
        .type('text/javascript')
        .set('Cache-Control', 'no-cache')
        .send(await load(name));
    } catch (error) {
      next(error instanceof Error && 'code' in error && error.code === 'ENOENT' ? undefined : error);
    }
  });
}
