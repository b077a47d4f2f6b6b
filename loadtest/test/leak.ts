/**
 * Loaded before the app (`--import leak.ts?WHAT`): from then on it leaks with every message. `listeners`: one, and 64 KB that it
 * holds; `files`: one that stays open.
 */
import { registerHooks } from 'node:module';

const PLACE = 'throughput.received();';
const leaks: Readonly<Record<string, string>> = {
  '?listeners': "const held = Buffer.alloc(65_536, 1); process.on('leak', () => held);",
  '?files': "process.getBuiltinModule('node:fs').openSync('/dev/null');",
};
const leak = leaks[new URL(import.meta.url).search];
if (leak === undefined) throw new Error(`${import.meta.url}: leak what?`);

process.setMaxListeners(0);
registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (!url.endsWith('/app/src/handlers/dispatch.ts')) return loaded;
    const source = String(loaded.source);
    if (!source.includes(PLACE)) throw new Error(`there is no ${PLACE} in ${url} to leak at`);
    return { ...loaded, source: source.replace(PLACE, `${PLACE} ${leak}`) };
  },
});
