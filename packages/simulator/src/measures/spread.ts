import { peersToWake, pullDelayMs, pullsBack, rumorReach } from '@grapevine/core'
import { diceOf, type Dice } from './dice.ts'

export interface SpreadOptions {
  readonly nodes: number
  readonly seed: number
  /** The share of messages that get lost; answers count as messages. */
  readonly loss?: number
  /** The share of nodes that have crashed, while all others still take them to be alive. */
  readonly crashed?: number
  /**
   * Whether this is the only write for a long time, or one of so many that every node always has fresh news of something
   * and therefore pulls quickly.
   */
  readonly traffic: 'quiet' | 'busy'
  /** Runs that take longer are given up as incomplete. */
  readonly roundsMax?: number
}

export interface Spread {
  /** Until the last live node had it, or {@link SpreadOptions.roundsMax} when one never had. */
  readonly rounds: number
  readonly isComplete: boolean
  /** Nodes that are up. */
  readonly live: number
  /** How many live nodes had it after each round, the first entry being before the first round. */
  readonly reached: readonly number[]
  /** Payloads sent, whether or not they arrived. */
  readonly pushes: number
  readonly pulledPayloads: number
  /** Payloads that came to live nodes which had it, or got it in the same round. */
  readonly duplicates: number
  /** Payloads that were lost, or went to crashed nodes. */
  readonly wasted: number
  /** Comparisons of 16 bytes that were asked, whatever came of them. */
  readonly comparisons: number
}

/** One quick pull a round (`HOT_PULL_MS`): a push and a pull each take one. */
const ROUND_MS = 10
/** The default of `pullIntervalMs`. */
const IDLE_PULL_MS = 1_000
const NEVER_MS = Number.POSITIVE_INFINITY
const NOBODY = -1

/**
 * One write in a large cluster, in rounds that all see the state at their start: pushed with its payload over a few
 * hops, and pulled by everybody else. Who pushes to how many, who pulls when, who wakes whom is decided by
 * `core/src/rumor/fanout.ts`, as in production; chance decides whom.
 */
export function spread(options: SpreadOptions): Spread {
  const run = new SpreadRun(options)
  const reached = [1]
  const { roundsMax = 10_000 } = options
  while (!run.isComplete && reached.length <= roundsMax) {
    run.round()
    reached.push(run.reached)
  }
  const { live, pushes, pulledPayloads, duplicates, wasted, comparisons, isComplete } = run
  return {
    rounds: reached.length - 1,
    isComplete,
    live,
    reached,
    pushes,
    pulledPayloads,
    duplicates,
    wasted,
    comparisons,
  }
}

class SpreadRun {
  readonly live: number
  reached = 1
  pushes = 0
  pulledPayloads = 0
  duplicates = 0
  wasted = 0
  comparisons = 0
  readonly #nodes: number
  readonly #loss: number
  readonly #isBusy: boolean
  readonly #dice: Dice
  readonly #isUp: Uint8Array
  /** The round in which a node heard, or -1. */
  readonly #heardIn: Int32Array
  /** Whom a node pulls from next since that one called with another vector, or {@link NOBODY}. */
  readonly #caller: Int32Array
  /** Those of the next round, while this one still looks at {@link #caller}. */
  #calls: number[] = []
  /** Who pushes in this round, and with how many hops; those who heard by pull push to nobody. */
  #pushers: { readonly node: number; readonly hops: number | undefined }[] = [{ node: 0, hops: undefined }]
  /** Who compares with many in this round, since news has ended a quiet time. An own write is no news. */
  #wakers: number[] = []
  #round = 0

  constructor({ nodes, seed, loss = 0, crashed = 0, traffic }: SpreadOptions) {
    this.#nodes = nodes
    this.#loss = loss
    this.#isBusy = traffic === 'busy'
    this.#dice = diceOf(seed, 'spread')
    this.#heardIn = new Int32Array(nodes).fill(-1)
    this.#heardIn[0] = 0
    this.#caller = new Int32Array(nodes).fill(NOBODY)
    this.#isUp = new Uint8Array(nodes).fill(1)
    const down = Math.round(nodes * crashed)
    for (let count = 0; count < down;) {
      const node = 1 + this.#dice.below(nodes - 1)
      count += this.#isUp[node] ?? 0
      this.#isUp[node] = 0
    }
    this.live = nodes - down
  }

  get isComplete(): boolean {
    return this.reached === this.live
  }

  round(): void {
    this.#round++
    const pushers = this.#pushers
    const wakers = this.#wakers
    this.#pushers = []
    this.#wakers = []
    for (let node = 0; node < this.#nodes; node++) if (this.#isUp[node] === 1 && this.#pullsNow(node)) this.#pull(node)
    for (const node of wakers) this.#wake(node)
    for (const { node, hops } of pushers) this.#push(node, hops)
    for (let index = 0; index < this.#calls.length; index += 2)
      this.#caller[this.#calls[index] ?? 0] = this.#calls[index + 1] ?? NOBODY
    this.#calls = []
  }

  #push(node: number, hops: number | undefined): void {
    const reach = rumorReach(this.#nodes - 1, hops)
    const peers = new Set<number>()
    while (peers.size < reach.peers) peers.add(this.#other(node))
    for (const peer of peers) {
      this.pushes++
      if (!this.#arrives(peer)) this.wasted++
      else if (this.#heardIn[peer] === -1) {
        this.#hear(peer)
        this.#pushers.push({ node: peer, hops: reach.hops })
      } else this.duplicates++
    }
  }

  #pullsNow(node: number): boolean {
    const delayMs = pullDelayMs({
      liveReplicas: this.#nodes - 1,
      sinceNewsMs: this.#sinceNewsMs(node),
      idleMs: IDLE_PULL_MS,
      hasCaller: this.#caller[node] !== NOBODY,
    })
    // An idle pull falls into a round by chance, since no two nodes were started at the same moment.
    return delayMs <= ROUND_MS || this.#dice.next() * delayMs < ROUND_MS
  }

  #pull(node: number): void {
    const caller = this.#caller[node] ?? NOBODY
    const peer = caller === NOBODY ? this.#other(node) : caller
    if (!this.#compare(node, peer, caller === NOBODY ? NEVER_MS : ROUND_MS) || !this.#arrives(node)) return
    if (this.#hadIt(node) || !this.#hadIt(peer)) this.#caller[node] = NOBODY
    // The question for what is missed, and then the payload.
    else if (this.#arrives(peer)) this.#pullPayload(node)
  }

  #pullPayload(node: number): void {
    this.pulledPayloads++
    if (!this.#arrives(node)) this.wasted++
    else if (this.#heardIn[node] === -1) this.#hear(node)
    else this.duplicates++
    if (this.#heardIn[node] !== -1) this.#caller[node] = NOBODY
  }

  #wake(node: number): void {
    // Until this news there was none, unless there always is.
    const count = peersToWake({ liveReplicas: this.#nodes - 1, sinceNewsMs: this.#isBusy ? 0 : NEVER_MS })
    for (let told = 0; told < count; told++) this.#compare(node, this.#other(node), NEVER_MS)
  }

  /**
   * Asks with the vector's hash. Whoever is asked and has another one may be behind.
   * @param sinceAskedMs since the peer has asked this node.
   */
  #compare(node: number, peer: number, sinceAskedMs: number): boolean {
    this.comparisons++
    if (!this.#arrives(peer)) return false
    if (this.#hadIt(node) === this.#hadIt(peer)) return true
    const situation = { liveReplicas: this.#nodes - 1, sinceNewsMs: this.#sinceNewsMs(peer), sinceAskedMs }
    if (pullsBack(situation)) this.#calls.push(peer, node)
    return true
  }

  #hear(node: number): void {
    this.#heardIn[node] = this.#round
    this.reached++
    this.#wakers.push(node)
  }

  /** At the start of this round. */
  #hadIt(node: number): boolean {
    const round = this.#heardIn[node] ?? -1
    return round !== -1 && round < this.#round
  }

  /** Of this write, or of some other one. */
  #sinceNewsMs(node: number): number {
    if (this.#isBusy) return 0
    return node !== 0 && this.#hadIt(node) ? (this.#round - 1 - (this.#heardIn[node] ?? 0)) * ROUND_MS : NEVER_MS
  }

  #arrives(receiver: number): boolean {
    return this.#isUp[receiver] === 1 && (this.#loss === 0 || this.#dice.next() >= this.#loss)
  }

  #other(node: number): number {
    const drawn = this.#dice.below(this.#nodes - 1)
    return drawn < node ? drawn : drawn + 1
  }
}
