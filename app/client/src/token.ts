/** Where tokens come from. */
import { RequestError } from './errors.ts';

/** Asked before every attempt and when a token is about to end. Undefined: there is none, give up. */
export type TokenProvider = () => string | undefined | Promise<string | undefined>;

export interface TokenSource {
  /** Whether `read` may give another token than the last time. */
  readonly renewable: boolean;
  readonly hasProvider: boolean;
  /** @throws {RequestError} NO_TOKEN, with the provider's error as cause */
  read(): Promise<string | undefined>;
  /** Takes the place of a fixed token; a provider is asked all the same. */
  replace(token: string): void;
}

/** @param token empty: the client has cookies, which may have changed since the last attempt */
export function createTokenSource(token: string | TokenProvider = ''): TokenSource {
  let fixed = typeof token === 'string' ? token : undefined;
  let sent: string | undefined;
  return {
    hasProvider: typeof token !== 'string',
    get renewable() {
      return typeof token !== 'string' || fixed === '' || fixed !== sent;
    },
    async read() {
      if (typeof token === 'string') {
        sent = fixed;
        return fixed;
      }
      try {
        return await token();
      } catch (cause) {
        throw new RequestError({ code: 'NO_TOKEN', message: 'the token provider failed' }, { cause });
      }
    },
    replace(renewed) {
      fixed = renewed;
    },
  };
}
