/** `k6`: sleep. It blocks the virtual user's event loop, and here that of its process. */
export function sleep(seconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000);
}

export default { sleep };
