/**
 * An iterator over what `generate` yields that can be left at any moment. A generator alone cannot: its `return`
 * waits for whatever it awaits, and a watch may await for ever. So the generator gets a signal that fires first, or with the
 * caller's.
 */
export function abandonable<Item>(
  signal: AbortSignal | undefined,
  generate: (signal: AbortSignal) => AsyncGenerator<Item, void, void>,
): AsyncIterableIterator<Item> & AsyncDisposable {
  const controller = new AbortController()
  const items = generate(eitherOf(signal, controller.signal))
  return {
    async next(): Promise<IteratorResult<Item, void>> {
      try {
        return await items.next()
      } catch (error) {
        if (controller.signal.aborted) return { done: true, value: undefined }
        throw error
      }
    },
    async return(): Promise<IteratorResult<Item, void>> {
      controller.abort()
      await items.return().catch(() => undefined)
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]() {
      return this
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await this.return?.()
    },
  }
}

export function eitherOf(signal: AbortSignal | undefined, other: AbortSignal): AbortSignal {
  return signal === undefined ? other : AbortSignal.any([signal, other])
}
