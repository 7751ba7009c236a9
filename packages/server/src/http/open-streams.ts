/** Answers that take long or never end by themselves: a closing server ends them, and waits until they let go. */
export class OpenStreams {
  readonly #streams = new Set<() => void>()
  #released: (() => void) | undefined
  #closing = false

  /** @returns what to call when the answer is over and holds nothing any more. */
  open(end: () => void): () => void {
    this.#streams.add(end)
    if (this.#closing) end()
    return () => {
      this.#streams.delete(end)
      if (this.#streams.size === 0) this.#released?.()
    }
  }

  close(): Promise<void> {
    this.#closing = true
    for (const end of this.#streams) end()
    if (this.#streams.size === 0) return Promise.resolve()
    return new Promise((resolve) => (this.#released = resolve))
  }
}
