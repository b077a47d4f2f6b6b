/**
 * What the client does after each close code: the server's catalogue (app/src/close-codes.ts), which the type holds
 * this table to, entry by entry.
 */
import type { Comeback, closeCodes } from '../../src/close-codes.ts';

export type { Comeback } from '../../src/close-codes.ts';

type Entry = (typeof closeCodes)[keyof typeof closeCodes];
type Catalogue = { readonly [E in Entry as E['code']]: E['comeback'] };

export const comebacks: Catalogue = {
  1000: 'never',
  1001: 'backoff',
  1008: 'never',
  1009: 'backoff',
  1011: 'backoff',
  1012: 'at-slot',
  1013: 'backoff',
  4000: 'backoff',
  4001: 'new-token',
  4008: 'backoff',
  4029: 'backoff',
  4500: 'never',
  4501: 'never',
  4503: 'never',
  4504: 'never',
  4505: 'never',
};

/** Whether and how to come back after `code`; codes outside the catalogue (1006 above all) mean "come back". */
export function comebackAfter(code: number): Comeback {
  const known = (comebacks as Readonly<Record<number, Comeback>>)[code];
  return known ?? (code >= 4500 && code <= 4999 ? 'never' : 'backoff');
}
