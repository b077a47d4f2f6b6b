/**
 * Whether this instance has more to do than it can: most of the last turns of a timer were late by more than the limit. It
 * then takes no more connections, and those that it has stay. A single long pause is no overload.
 */
const SAMPLE_MS = 200;
const SAMPLES = 5;
const MOST = 3;

export interface Load {
  readonly overloaded: boolean;
}

/** @param maxLag of the event loop, in ms; 0: never overloaded */
export function createLoad(maxLag: number): Load {
  const late: boolean[] = [];
  let due = performance.now() + SAMPLE_MS;
  setInterval(() => {
    const now = performance.now();
    late.push(maxLag > 0 && now - due > maxLag);
    if (late.length > SAMPLES) late.shift();
    due = now + SAMPLE_MS;
  }, SAMPLE_MS).unref();
  return {
    get overloaded() {
      return late.filter(Boolean).length >= MOST;
    },
  };
}
