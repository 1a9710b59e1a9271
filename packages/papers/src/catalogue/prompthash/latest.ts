/**
 * The newest of some things that are expensive to make and to keep, such as a trainer with its compiled graph: who asks
 * with the same key gets it again, another key closes it.
 */
export class Latest<T extends { close(): Promise<void> }> {
  #held: { readonly key: string; readonly value: T } | undefined;

  async get(key: string, make: () => T): Promise<T> {
    if (this.#held?.key !== key) {
      await this.close();
      this.#held = { key, value: make() };
    }
    return this.#held.value;
  }

  async close(): Promise<void> {
    const held = this.#held;
    this.#held = undefined;
    await held?.value.close();
  }
}
