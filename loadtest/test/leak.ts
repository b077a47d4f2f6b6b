/** Loaded before the app (`--import`): from then on it leaks one listener, and 64 KB that it holds, with every message. */
import { registerHooks } from 'node:module';

const PLACE = 'throughput.received();';

process.setMaxListeners(0);
registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (!url.endsWith('/app/src/handlers/dispatch.ts')) return loaded;
    const source = String(loaded.source);
    if (!source.includes(PLACE)) throw new Error(`there is no ${PLACE} in ${url} to leak at`);
    return {
      ...loaded,
      source: source.replace(PLACE, `${PLACE} const held = Buffer.alloc(65_536, 1); process.on('leak', () => held);`),
    };
  },
});
