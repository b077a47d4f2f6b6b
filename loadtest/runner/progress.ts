/** How the run goes: one line, rewritten every second, on a terminal; elsewhere a line now and then. */
import type { Moment } from './timeline.ts';

const CALM_SECONDS = 10;

export interface Progress {
  /** May be called with the same moment again. */
  show(moment: Moment): void;
  end(): void;
}

/** @param options.readEvent what happens to the cluster at the moment */
export function createProgress(options: { output: NodeJS.WriteStream; readEvent(): string | undefined }): Progress {
  const { output } = options;
  let shown = -1;

  return {
    show({ at, clients, deliveries, latencyP99, lost }) {
      if (at <= shown) return;
      const due = output.isTTY ? 1 : CALM_SECONDS;
      if (shown >= 0 && Math.floor(at / due) === Math.floor(shown / due)) return;
      shown = at;
      const line = [
        `${String(Math.floor(at / 60)).padStart(2)}:${String(at % 60).padStart(2, '0')}`,
        `${clients} clients`,
        `${deliveries} deliveries/s`,
        `p99 ${latencyP99 === null ? '-' : `${Math.round(latencyP99)} ms`}`,
        `lost ${lost}`,
        options.readEvent(),
      ].filter((part) => part !== undefined && part !== '');
      output.write(output.isTTY ? `\r\x1b[K  ${line.join('   ')}` : `  ${line.join('   ')}\n`);
    },
    end() {
      if (output.isTTY) output.write('\r\x1b[K');
    },
  };
}
