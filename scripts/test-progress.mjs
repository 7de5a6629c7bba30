// Says which test files have ended and which are running: on a terminal a last line that changes, elsewhere a line of its own
// after some time without one.
import process from 'node:process';

export class Progress {
  #count;
  #ended = 0;
  /** Names of running files, and when they began. */
  #running = new Map();
  #out;
  #lastLine = performance.now();
  #timer;
  #silenceMs;

  constructor(count, out = process.stdout, silenceMs = 20_000) {
    this.#silenceMs = silenceMs;
    this.#count = count;
    this.#out = out;
    this.#timer = setInterval(() => this.#tick(), out.isTTY ? 1000 : Math.min(500, silenceMs));
    this.#timer.unref();
  }

  begin(name) {
    this.#running.set(name, performance.now());
    this.#showLive();
  }

  /** With the lines that say how it ended. */
  end(name, lines) {
    this.#running.delete(name);
    this.#ended += 1;
    this.#print(lines);
  }

  stop() {
    clearInterval(this.#timer);
    this.#clearLive();
  }

  #status() {
    const now = performance.now();
    const names = [...this.#running].map(([name, began]) => `${name} ${Math.round((now - began) / 1000)} s`);
    return `     ${this.#ended} of ${this.#count} files; running: ${names.join(', ')}`;
  }

  #tick() {
    if (this.#out.isTTY) this.#showLive();
    else if (performance.now() - this.#lastLine >= this.#silenceMs) this.#print(this.#status());
  }

  #print(lines) {
    this.#clearLive();
    this.#out.write(`${lines}\n`);
    this.#lastLine = performance.now();
    this.#showLive();
  }

  #clearLive() {
    if (this.#out.isTTY) this.#out.write('\r\x1b[K');
  }

  #showLive() {
    if (!this.#out.isTTY || this.#running.size === 0) return;
    const text = this.#status();
    this.#out.write(`\r${text.slice(0, (this.#out.columns ?? 80) - 1)}\x1b[K`);
  }
}
