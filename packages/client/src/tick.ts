// Not a microtask: what has its answer in the same turn of the event loop, and asks on after a few awaits, is to
// share the next request. Not a timer either, which waits a millisecond or four.

interface Immediate {
  readonly setImmediate?: (run: () => void) => unknown
}

/** Runs when this turn of the event loop is over, without delay. */
export const afterThisTick: (run: () => void) => void = schedulerOf(globalThis)

function schedulerOf({ setImmediate }: Immediate): (run: () => void) => void {
  if (setImmediate !== undefined) return setImmediate
  const { port1, port2 } = new MessageChannel()
  const waiting: (() => void)[] = []
  port1.addEventListener('message', () => waiting.shift()?.())
  port1.start()
  return (run) => {
    waiting.push(run)
    port2.postMessage(undefined)
  }
}
