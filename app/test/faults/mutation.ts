/**
 * Switches one mechanism off, in the process that it is loaded into (node --import): the source text of one module is
 * changed on its way in. MUTATION names which, of mutations.ts. The product knows nothing of it.
 */
import fs from 'node:fs';
import { registerHooks, syncBuiltinESMExports } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { mutations } from './mutations.ts';

const name = process.env['MUTATION'] ?? '';
const mutation = mutations[name];
if (!mutation) throw new Error(`MUTATION=${name} is none of ${Object.keys(mutations).join(', ')}`);
const { from, to } = mutation;
const file = resolve(import.meta.dirname, '../..', mutation.file);

function mutate(source: string): string {
  const found = source.split(from).length - 1;
  if (found !== 1) throw new Error(`${mutation?.file} has this ${found} times, not once: ${from}`);
  return source.replace(from, () => to);
}

// At once, so that a stretch that is no longer there is an error wherever this is loaded.
mutate(fs.readFileSync(file, 'utf8'));

if (file.endsWith('.lua')) {
  // Scripts are not modules: they are read.
  const { readFileSync } = fs;
  fs.readFileSync = ((path: fs.PathOrFileDescriptor, ...rest: [never]) => {
    const text = readFileSync(path, ...rest) as string | Buffer;
    return String(path) === String(pathToFileURL(file)) ? mutate(String(text)) : text;
  }) as typeof readFileSync;
  syncBuiltinESMExports();
} else {
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (url !== String(pathToFileURL(file))) return loaded;
      return { ...loaded, source: mutate(String(loaded.source)) };
    },
  });
}
