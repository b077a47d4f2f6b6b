import type { Level } from '../panel.ts';

/** A moment that every chart shows. Seconds since the epoch. */
export interface Mark {
  at: number;
  /** The instance. */
  name: string;
  level: Level;
}
