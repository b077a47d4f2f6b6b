/** A typed event emitter. A listener that throws stops neither the others nor the client: its error is reported. */
export interface Emitter<E extends Record<keyof E, readonly unknown[]>> {
  /** @returns a function that takes the listener off again */
  on<K extends keyof E>(type: K, listener: (...args: E[K]) => void): () => void;
  emit<K extends keyof E>(type: K, ...args: E[K]): void;
}

export function createEmitter<E extends Record<keyof E, readonly unknown[]>>(): Emitter<E> {
  const listeners: { [K in keyof E]?: Set<(...args: E[K]) => void> } = {};
  return {
    on(type, listener) {
      // A fresh function each time, so that the same listener may be put on twice.
      const entry: typeof listener = (...args) => listener(...args);
      let set = listeners[type];
      if (!set) {
        set = new Set();
        listeners[type] = set;
      }
      set.add(entry);
      return () => void set.delete(entry);
    },
    emit(type, ...args) {
      for (const listener of [...(listeners[type] ?? [])]) {
        try {
          listener(...args);
        } catch (error) {
          // As an uncaught error, where the platform shows it: it is the application's.
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    },
  };
}
