import { diceOf } from './dice.ts'
import type { Spread } from './spread.ts'

export interface PlainPushOptions {
  readonly nodes: number
  readonly seed: number
  readonly fanout: number
  readonly loss?: number
  readonly crashed?: number
}

/**
 * What gossip is usually taken to be: in each round everybody who has heard pushes to `fanout` others at random. It stops
 * when the last live node has heard, which nobody in a real cluster could know: any real one sends more than this.
 */
export function plainPush({ nodes, seed, fanout, loss = 0, crashed = 0 }: PlainPushOptions): Spread {
  const dice = diceOf(seed, 'plain-push')
  const hasHeard = new Uint8Array(nodes)
  const isUp = new Uint8Array(nodes).fill(1)
  const down = Math.round(nodes * crashed)
  for (let count = 0; count < down;) {
    const node = 1 + dice.below(nodes - 1)
    count += isUp[node] ?? 0
    isUp[node] = 0
  }
  hasHeard[0] = 1
  let count = 1
  let pushes = 0
  let duplicates = 0
  let wasted = 0
  const reached = [1]
  while (count < nodes - down) {
    const pushers = count
    for (let index = 0; index < pushers; index++) {
      for (let push = 0; push < fanout; push++) {
        pushes++
        const peer = dice.below(nodes)
        if (isUp[peer] === 0 || (loss > 0 && dice.next() < loss)) wasted++
        else if (hasHeard[peer] === 1) duplicates++
        else {
          hasHeard[peer] = 1
          count++
        }
      }
    }
    reached.push(count)
  }
  const rounds = reached.length - 1
  const none = { pulledPayloads: 0, comparisons: 0 }
  return { rounds, isComplete: true, live: nodes - down, reached, pushes, duplicates, wasted, ...none }
}
