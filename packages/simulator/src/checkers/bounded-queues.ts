import type { CheckerKind } from './checker-kind.ts'

export const boundedQueues: CheckerKind = {
  name: 'bounded-queues',
  guards: 'P14',
  asserts: 'No queue is longer than its limit.',
  watch(complain) {
    return {
      queue({ atMs, node, name, length, lengthMax }) {
        if (length <= lengthMax) return
        complain({ atMs, node, message: `the queue "${name}" of ${node} holds ${length}, and may hold ${lengthMax}` })
      },
    }
  },
}
