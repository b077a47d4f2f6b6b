/** What the tools that sign their own tokens begin with: the app's configuration, and its way to sign. */

import { type Config, ConfigError, loadConfig } from '../src/config.ts';
import { type Auth, createAuth } from '../src/connection/auth.ts';

/** sysexits.h: something is wrong with the configuration. */
const EX_CONFIG = 78;

/** Reads the environment; ends the process with every problem listed when there is one. */
export function createSigner(): { config: Config; sign: Auth['sign'] } {
  try {
    const config = loadConfig(process.env);
    const auth = createAuth({ secret: config.JWT_SECRET, issuer: config.JWT_ISSUER, audience: config.JWT_AUDIENCE });
    return { config, sign: auth.sign };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exit(EX_CONFIG);
  }
}
