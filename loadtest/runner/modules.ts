/**
 * Loads scripts as k6 does: each virtual user has its own copy of every module, `k6/...` is this runner's, and there is
 * no other package. The query of its URL identifies a copy: `rolling.ts?vu=3`.
 */
import { readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';

const shims = new URL('./k6/', import.meta.url).href;
const modules: Readonly<Record<string, string>> = {
  'k6/crypto': 'crypto.ts',
  'k6/encoding': 'encoding.ts',
  'k6/execution': 'execution.ts',
  'k6/http': 'http.ts',
  'k6/metrics': 'metrics.ts',
  'k6/timers': 'timers.ts',
  'k6/websockets': 'websockets.ts',
  k6: 'k6.ts',
};

/** From here on `import(urlFor(vu, script))` works. */
export function installModules(): void {
  const sources = new Map<string, string>();
  registerHooks({
    resolve(specifier, context, next) {
      const parent = context.parentURL ?? '';
      const query = /\?vu=\d+$/.exec(parent)?.[0];
      // The runner's own modules are one for all.
      if (query === undefined || parent.startsWith(shims)) return next(specifier, context);
      if (specifier === 'k6' || specifier.startsWith('k6/')) {
        const file = modules[specifier];
        if (file === undefined) throw new Error(`the Node runner does not have ${specifier}`);
        return { url: shims + file + query, format: 'module', shortCircuit: true };
      }
      if (!/^\.{1,2}\//.test(specifier)) throw new Error(`${specifier}: k6 resolves no packages`);
      return { url: new URL(specifier, parent).href + query, format: 'module', shortCircuit: true };
    },
    load(url, context, next) {
      const query = url.lastIndexOf('?vu=');
      if (query < 0) return next(url, context);
      const file = url.slice(0, query);
      let source = sources.get(file);
      if (source === undefined) {
        source = withoutWarning(() => stripTypeScriptTypes(readFileSync(fileURLToPath(file), 'utf8')));
        sources.set(file, source);
      }
      return { format: 'module', source, shortCircuit: true };
    },
  });
}

/** Node calls its own stripping experimental, once a process, amid a test's output. */
function withoutWarning<T>(work: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    return work();
  } finally {
    process.emitWarning = emitWarning;
  }
}
