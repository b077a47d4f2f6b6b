import type { Result } from '../report/result.ts';

/** The summary that createSummary in lib/test.ts writes at the end of a run. */
export interface Summary {
  metrics: Record<string, Result['metrics'][string] & { thresholds?: Record<string, { ok: boolean }> }>;
  state: { testRunDurationMs: number };
  setup_data?: { startAt: number };
  shown: Record<string, string>;
  said: string[];
  /** ms since the epoch */
  endedAt: number;
}
