/** `promise`, or undefined after `ms`. Unlike a race with a delay it leaves no timer behind. */
export async function withDeadline<T>(promise: Promise<T>, ms: number): Promise<{ value: T } | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, ms, undefined);
  timer.unref();
  try {
    return await Promise.race([promise.then((value) => ({ value })), late]);
  } finally {
    clearTimeout(timer);
  }
}
