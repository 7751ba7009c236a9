import type { Timers } from '@grapevine/core'

/** A promise and the means to settle it. */
export interface Deferred<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: unknown): void
}

export function deferred<T>(): Deferred<T> {
  return Promise.withResolvers<T>()
}

export function sleep(timers: Timers, ms: number): Promise<void> {
  return new Promise((resolve) => {
    timers.after(ms, resolve)
  })
}

/** Lets everything else that is ready run first. */
export function yieldToOthers(timers: Timers): Promise<void> {
  return sleep(timers, 0)
}
