/** Loaded before the app (`--import`): from then on it leaks one listener, and what that holds, with every message. */
import { registerHooks } from 'node:module';

const PLACE = 'throughput.received();';

process.setMaxListeners(0);
registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (!url.endsWith('/app/src/handlers/dispatch.ts')) return loaded;
    const source = String(loaded.source);
    if (!source.includes(PLACE)) throw new Error(`there is no ${PLACE} in ${url} to leak at`);
    return { ...loaded, source: source.replace(PLACE, `${PLACE} process.on('leak', () => text);`) };
  },
});
