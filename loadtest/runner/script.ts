/** A script as one virtual user has it. */
import type { ScriptOptions } from './scenarios.ts';
import { urlFor, type Vu } from './vu.ts';

export interface Script {
  options: ScriptOptions;
  /** @throws {Error} when it exports no such function */
  fn(name: string): (...args: unknown[]) => unknown;
  has(name: string): boolean;
}

export async function loadScript(url: string, vu: Vu): Promise<Script> {
  const exported = (await import(urlFor(vu, url))) as Record<string, unknown>;
  return {
    options: (exported['options'] ?? {}) as ScriptOptions,
    has: (name) => typeof exported[name] === 'function',
    fn(name) {
      const fn = exported[name];
      if (typeof fn !== 'function') throw new Error(`function '${name}' not found in exports`);
      return fn as (...args: unknown[]) => unknown;
    },
  };
}

/** The metrics that k6 itself counts, besides those of its modules. */
export const builtIn = {
  counter: ['iterations'],
  trend: ['iteration_duration'],
  gauge: ['vus', 'vus_max'],
} as const;

/** The message of whatever was thrown, with the place where that was. */
export function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message).replaceAll(/\?vu=\d+/g, '') : String(error);
}
