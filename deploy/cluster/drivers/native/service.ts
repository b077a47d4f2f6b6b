import type { Command } from './process.ts';

/** One service of the cluster: how it is started, where it listens, when it is ready and how it is stopped. */
export interface Service {
  name: string;
  /** The name of its Debian package, for install.sh. */
  program: string;
  command(): Command;
  /** `variable` is the setting to change when another process holds the port. */
  listens: readonly { host: string; port: number; variable: string }[];
  url: string;
  /** Resolves to undefined when the service is ready, otherwise to its answer. */
  problem(): Promise<string | undefined>;
  /**
   * What happens when it runs with another command, environment or configuration than it should: it reloads, it is
   * restarted, or it is left alone until the next rolling restart, because a restart would cost its connections.
   */
  change: { reload(command: Command, pid: number): Promise<void> } | 'restart' | 'roll';
  /** Signals that stop it, the most graceful first, each with the time it is given; SIGKILL follows. */
  stopping: readonly { signal: NodeJS.Signals; ms: number }[];
}
