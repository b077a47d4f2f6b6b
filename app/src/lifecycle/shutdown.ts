/**
 * Shuts the process down within a deadline: drain, terminate the remaining connections, leave the broker, exit.
 * A second signal exits at once. An uncaught error starts the same shutdown with exit code 1.
 */
import type { Logger } from '../observability/logger.ts';

/** Kept free at the end of the deadline for terminating stragglers and leaving the broker. */
const RESERVE_MS = 1500;

export function createShutdown(options: {
  /** From the signal to the exit, in ms. */
  deadline: number;
  /** Resolves when no connection is left. */
  drain(): Promise<void>;
  /** Terminates the remaining connections. @returns how many there were */
  terminateStragglers(): number;
  /** Leaves presence and the broker, and closes the listeners. */
  leave(): Promise<void>;
  exit(code: number): void;
  logger: Logger;
}): { handleSignal(signal: string): void; handleFatal(error: unknown): void } {
  const { logger, exit } = options;
  let started: number | undefined;
  let exitCode = 0;

  async function shutDown(): Promise<void> {
    started = performance.now();
    // Timers first: nothing below may keep the process past its deadline.
    setTimeout(() => {
      logger.fatal({ event: 'shutdown_deadline' }, 'shutdown did not finish within SHUTDOWN_DEADLINE');
      exit(1);
    }, options.deadline).unref();
    setTimeout(
      () => {
        const stragglers = options.terminateStragglers();
        if (stragglers > 0)
          logger.warn(
            { event: 'stragglers_terminated', stragglers },
            'terminated connections that did not close in time',
          );
      },
      Math.max(0, options.deadline - RESERVE_MS),
    ).unref();

    await options.drain();
    await options.leave();
    logger.info({ event: 'stopped', tookMs: Math.round(performance.now() - started), exitCode }, 'stopped');
    exit(exitCode);
  }

  function begin(): void {
    shutDown().catch((error: unknown) => {
      logger.fatal({ event: 'shutdown_failed', err: error }, 'shutdown failed');
      exit(1);
    });
  }

  return {
    handleSignal(signal) {
      if (started !== undefined) {
        logger.warn({ event: 'second_signal', signal }, 'second signal: exiting at once');
        return exit(1);
      }
      logger.info({ event: 'signal', signal }, 'shutting down');
      begin();
    },
    handleFatal(error) {
      logger.fatal({ event: 'uncaught', err: error }, 'uncaught error: draining, then exiting with code 1');
      exitCode = 1;
      if (started === undefined) begin();
    },
  };
}
