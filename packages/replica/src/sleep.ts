import type { Timers } from '@grapevine/core'

export function sleep(timers: Timers, ms: number): Promise<void> {
  return new Promise((resolve) => {
    timers.after(ms, resolve)
  })
}

/** Lets everything else that is ready run first. */
export function yieldToOthers(timers: Timers): Promise<void> {
  return sleep(timers, 0)
}
