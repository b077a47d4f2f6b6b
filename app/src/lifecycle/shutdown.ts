/**
 * The way out of the process, always within a deadline: drain, end what is left, leave the broker, exit.
 * A second signal exits at once. An uncaught error takes the same way and exits 1.
 */
import type { Logger } from '../observability/logger.ts';

/** Left at the end of the deadline for ending stragglers and leaving the broker. */
const RESERVE_MS = 1500;

export function createShutdown(options: {
  /** From the signal to the exit, in ms. */
  deadline: number;
  /** Resolves when nobody is connected any more. */
  drain(): Promise<void>;
  /** Cuts the connections that are left. */
  terminateStragglers(): number;
  /** Leaves everything shared and closes the listeners. */
  leave(): Promise<void>;
  exit(code: number): void;
  logger: Logger;
}): { handleSignal(signal: string): void; handleFatal(error: unknown): void } {
  const { logger, exit } = options;
  let started: number | undefined;
  let exitCode = 0;

  async function shutDown(): Promise<void> {
    started = performance.now();
    // Its own timers: nothing below may keep the process past its deadline.
    setTimeout(() => {
      logger.fatal({ event: 'shutdown_deadline' }, 'not done within SHUTDOWN_DEADLINE');
      exit(1);
    }, options.deadline).unref();
    setTimeout(
      () => {
        const stragglers = options.terminateStragglers();
        if (stragglers > 0)
          logger.warn({ event: 'stragglers_terminated', stragglers }, 'cut connections that did not leave');
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
      logger.fatal({ event: 'shutdown_failed', err: error }, 'could not shut down in order');
      exit(1);
    });
  }

  return {
    handleSignal(signal) {
      if (started !== undefined) {
        logger.warn({ event: 'second_signal', signal }, 'a second signal: exiting at once');
        return exit(1);
      }
      logger.info({ event: 'signal', signal }, 'shutting down');
      begin();
    },
    handleFatal(error) {
      logger.fatal({ event: 'uncaught', err: error }, 'an uncaught error: draining, then exit 1');
      exitCode = 1;
      if (started === undefined) begin();
    },
  };
}
