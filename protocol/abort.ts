// Callers that wait with an AbortSignal. A signal gets one listener however many callers wait, because Node warns of
// more than ten listeners.

interface Watched {
  readonly giveUps: Set<() => void>;
  readonly onAbort: () => void;
}

export class AbortWatch {
  readonly #watched = new Map<AbortSignal, Watched>();

  /** Calls giveUp when the signal aborts. The signal must not be aborted already. */
  add(signal: AbortSignal, giveUp: () => void): void {
    let watched = this.#watched.get(signal);
    if (watched === undefined) {
      const giveUps = new Set<() => void>();
      const onAbort = () => {
        this.#watched.delete(signal);
        for (const one of giveUps) one();
      };
      watched = { giveUps, onAbort };
      this.#watched.set(signal, watched);
      signal.addEventListener('abort', onAbort, { once: true });
    }
    watched.giveUps.add(giveUp);
  }

  remove(signal: AbortSignal, giveUp: () => void): void {
    const watched = this.#watched.get(signal);
    if (watched === undefined) return;
    watched.giveUps.delete(giveUp);
    if (watched.giveUps.size > 0) return;
    this.#watched.delete(signal);
    signal.removeEventListener('abort', watched.onAbort);
  }
}
