/** How the run goes: one line, rewritten every second, on a terminal; elsewhere a line now and then. */
import type { Moment } from './timeline.ts';

const CALM_SECONDS = 10;

export interface Progress {
  show(moments: readonly Moment[], second: number): void;
  end(): void;
}

/** @param options.readEvent what happens to the cluster at the moment */
export function createProgress(options: { output: NodeJS.WriteStream; readEvent(): string | undefined }): Progress {
  const { output } = options;
  let shown = -1;

  return {
    show(moments, second) {
      // Several processes report each second: it is complete when the next has begun.
      const done = second - 1;
      const moment = moments[done];
      if (done <= shown || !moment) return;
      const due = output.isTTY ? 1 : CALM_SECONDS;
      if (Math.floor(done / due) === Math.floor(shown / due) && shown >= 0) return;
      shown = done;
      const { clients, deliveries, latencyP99, lost } = moment;
      const line = [
        `${String(Math.floor(done / 60)).padStart(2)}:${String(done % 60).padStart(2, '0')}`,
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
