import { MailError, type Mailer, type MailMessage } from "./mail-port.ts";

const RETRY_MS = [2_000, 15_000, 60_000];
const MOST_WAITING = 500;

/**
 * Sends messages about accounts after the answer has gone out, so that neither the answer nor its time tells whether
 * there was one to send. What a stop of the server loses, its reader asks for again.
 */
export class PostOffice {
  readonly #mailer: Mailer;
  readonly #onFailure: (error: unknown) => void;
  readonly #under = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(mailer: Mailer, onFailure: (error: unknown) => void) {
    this.#mailer = mailer;
    this.#onFailure = onFailure;
  }

  get delivers(): boolean {
    return this.#mailer.delivers;
  }

  /** Takes a message for sending soon; beyond 500 that wait, it is dropped and reported as a failure. */
  post(message: MailMessage): void {
    this.later(async () => message);
  }

  /** Finds out behind the answer whether there is a message to send, and sends it. */
  later(find: () => Promise<MailMessage | null>): void {
    if (this.#under.size >= MOST_WAITING) {
      this.#onFailure(new MailError("Too many messages wait to be sent.", null));
      return;
    }
    const work = find()
      .then((message) => (message === null ? undefined : this.#send(message)))
      .catch(this.#onFailure)
      .finally(() => this.#under.delete(work));
    this.#under.add(work);
  }

  async #send(message: MailMessage): Promise<void> {
    for (const pause of [...RETRY_MS, null]) {
      try {
        await this.#mailer.send(message);
        return;
      } catch (error) {
        const again = error instanceof MailError && error.temporary && pause !== null;
        if (!again || this.#closing.signal.aborted) throw error;
        await this.#sleep(pause);
      }
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#closing.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    while (this.#under.size > 0) await Promise.allSettled(this.#under);
  }

  /** Gives what waits a last try. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.idle();
    await this.#mailer.close();
  }
}
