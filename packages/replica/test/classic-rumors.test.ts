import {
  RefusalError,
  UnreachableError,
  type Answer,
  type CounterName,
  type Entry,
  type Log,
  type Question,
  type QuestionName,
  type ReplicaId,
} from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { ClassicRumors, type ClassicRumorContext } from '../src/classic-rumors.ts'
import type { Fate } from '../src/intake.ts'
import { seededRandom, SmallCluster } from './small-cluster.ts'
import { VirtualTime } from './virtual-time.ts'

type Options = ClassicRumorContext['options']

const PUSH: Options = { exchange: 'push', loss: 'feedback', counting: 'counter', k: 2, intervalMs: 100, fanout: 1 }
const PULL: Options = { ...PUSH, exchange: 'pull' }
const PUSH_PULL: Options = { ...PUSH, exchange: 'push-pull' }
/** Intervals are jittered by 20 %, so that one round has ended after this, and a second one has not begun. */
const ONE_ROUND_MS = 125
const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} }

describe.each([PUSH, PULL, PUSH_PULL])('classic rumors by $exchange', (options) => {
  it('reach everybody, in most of the cases, and then go cold', async () => {
    let reached = 0
    for (let seed = 1; seed <= 10; seed++) {
      const world = new World(10, { ...options, k: 3 }, seed)
      world.node(0).write(entryOf('a', 1))
      await world.time.advance(5_000)
      reached += world.nodes.filter(({ held }) => held.size === 1).length
      expect(world.nodes.every(({ rumors }) => rumors.hot === 0)).toBe(true)
    }
    expect(reached).toBeGreaterThan(options.exchange === 'pull' ? 60 : 90)
  })

  it('spread the newest entry of a key', async () => {
    const world = new World(2, options)
    world.node(0).write(entryOf('a', 1))
    world.node(0).write(entryOf('a', 2))
    world.node(0).rumors.ignite(entryOf('a', 1))
    await world.time.advance(ONE_ROUND_MS)
    expect([...world.node(1).held.values()]).toEqual([entryOf('a', 2)])
  })

  it('neither ask nor answer nor take in anything while they are paused', async () => {
    const world = new World(2, options)
    const { rumors, held } = world.node(1)
    rumors.pause()
    rumors.ignite(entryOf('b', 1))
    rumors.relay(entryOf('c', 1), 0)
    world.node(0).write(entryOf('a', 1))
    await world.time.advance(1_000)
    expect(world.asked.filter(({ from }) => from === 'n1')).toEqual([])
    expect([held.size, rumors.hot, rumors.listeners(entryOf('a', 1))]).toEqual([0, 0, []])
    rumors.resume()
    await world.time.advance(1_000)
    expect(held.size).toBe(1)
  })

  it('have no two conversations with one peer at a time, and are not held up by a silent one', async () => {
    const world = new World(3, { ...options, fanout: 2 })
    world.silent.add('n1')
    world.node(0).write(entryOf('a', 1))
    await world.time.advance(1_000)
    expect(world.asked.filter(({ from, to }) => from === 'n0' && to === 'n1')).toHaveLength(1)
    expect(world.node(2).held.size).toBe(1)
  })

  it('stop for good', async () => {
    const world = new World(2, options)
    world.node(0).write(entryOf('a', 1))
    for (const { rumors } of world.nodes) rumors.stop()
    await world.time.advance(1_000)
    expect(world.asked).toEqual([])
  })

  it('spread a write in a cluster without any other help', async () => {
    const rumor: Options = { ...options, k: 4, fanout: 2 }
    const cluster = await SmallCluster.of(3, { pullIntervalMs: 0, antiEntropyIntervalMs: 1e9, rumor })
    await cluster.put('n1', 'k', 'v')
    const isEverywhere = (): boolean => ['n1', 'n2', 'n3'].every((name) => cluster.get(name, 'k') === 'v')
    expect(await cluster.until(isEverywhere, 2_000)).toBeLessThan(2_000)
  })
})

describe('a push', () => {
  it('is not made while nothing is hot', async () => {
    const world = new World(3, PUSH)
    await world.time.advance(1_000)
    expect(world.asked).toEqual([])
  })

  it('goes to so many peers a round as the fanout says', async () => {
    const world = new World(10, { ...PUSH, fanout: 3 })
    world.node(0).write(entryOf('a', 1))
    await world.time.advance(ONE_ROUND_MS)
    expect(new Set(world.asked.filter(({ from }) => from === 'n0').map(({ to }) => to)).size).toBe(3)
  })

  it('cools what the peer knew, and what it would not take in', async () => {
    const world = new World(2, { ...PUSH, k: 1 })
    world.node(1).held.set(entryOf('known', 1).address, entryOf('known', 1))
    world.node(1).fates.set(entryOf('parked', 1).address, 'parked')
    for (const key of ['known', 'parked', 'news']) world.node(0).write(entryOf(key, 1))
    await world.time.advance(ONE_ROUND_MS)
    expect(world.node(0).rumors.hotEntries()).toEqual([entryOf('news', 1)])
    expect(world.counts.get('rumor_feedback news')).toBe(1)
  })

  it('that nobody answered cools nothing', async () => {
    const world = new World(2, { ...PUSH, k: 1 })
    world.down.add('n1')
    world.node(0).write(entryOf('a', 1))
    await world.time.advance(1_000)
    expect(world.node(0).rumors.hot).toBe(1)
    world.down.clear()
    await world.time.advance(200)
    expect(world.node(1).held.size).toBe(1)
  })
})

describe('a pull', () => {
  it('counts once a round against what was given, to however many', async () => {
    const world = new World(5, { ...PULL, k: 2 })
    const { rumors } = world.node(0)
    world.node(0).write(entryOf('a', 1))
    for (let pulls = 0; pulls < 5; pulls++) expect(rumors.hotEntries()).toHaveLength(1)
    await world.time.advance(ONE_ROUND_MS)
    expect(rumors.hotEntries()).toHaveLength(1)
  })
})

describe('push and pull', () => {
  it('do not send back what the peer has just given', async () => {
    const world = new World(2, PUSH_PULL)
    for (const { rumors, held } of world.nodes) {
      held.set(entryOf('a', 1).address, entryOf('a', 1))
      rumors.relay(entryOf('a', 1), 0)
    }
    await world.time.advance(ONE_ROUND_MS)
    expect(world.asked.map(({ name }) => name)).toEqual(['hot-rumors', 'hot-rumors'])
    await world.time.advance(1_000)
    expect(world.nodes.map(({ rumors }) => rumors.hot)).toEqual([0, 0])
  })
})

describe('a write that waits for acknowledgements', () => {
  it('goes to every listener at once, and is hot beside that', async () => {
    const world = new World(3, PUSH)
    const told: string[] = []
    world.node(0).held.set(entryOf('a', 1).address, entryOf('a', 1))
    world.node(0).rumors.ignite(entryOf('a', 1), (replica, holds) => told.push(`${replica} ${holds}`))
    await world.time.advance(10)
    expect(told.toSorted()).toEqual(['n1 true', 'n2 true'])
    expect(world.node(0).rumors.hot).toBe(1)
    expect(world.counts.get('rumor_updates')).toBe(1)
  })

  it('does not count on a peer that refused a rumor because it is paused, until it takes one', async () => {
    const world = new World(2, PUSH)
    const { rumors } = world.node(0)
    world.node(1).rumors.pause()
    world.node(0).write(entryOf('a', 1))
    await world.time.advance(ONE_ROUND_MS)
    expect(rumors.listeners(entryOf('a', 1))).toEqual([])
    world.node(1).rumors.resume()
    await world.time.advance(ONE_ROUND_MS)
    expect(rumors.listeners(entryOf('a', 1))).toHaveLength(1)
  })
})

interface Asked {
  readonly from: ReplicaId
  readonly to: ReplicaId
  readonly name: QuestionName
}

/** Nodes that have a memory and rumors, and nothing else that could repair what those miss. */
class World {
  readonly time: VirtualTime = new VirtualTime()
  readonly nodes: Node[] = []
  readonly asked: Asked[] = []
  readonly counts = new Map<string, number>()
  /** Those that refuse connections, and those that never answer. */
  readonly down = new Set<ReplicaId>()
  readonly silent = new Set<ReplicaId>()

  constructor(size: number, options: Options, seed = 1) {
    const ids = Array.from({ length: size }, (_, index) => `n${index}`)
    const random = seededRandom(seed)
    for (const self of ids) {
      const others = ids.filter((id) => id !== self).map((replica) => ({ replica, address: replica }))
      const node: Node = new Node({
        options,
        random,
        timers: this.time,
        log: SILENT,
        measures: { add: (name, by = 1, label) => this.#count(name, by, label), observe: () => {} },
        livePeers: () => others,
        owners: { ofEntry: () => ids },
        questionBytesMax: 10_000,
        takeIn: (entries) => Promise.resolve(node.takeIn(entries)),
        ask: async (to, name, question) => {
          this.asked.push({ from: self, to, name })
          await this.#travel()
          if (this.down.has(to)) throw new UnreachableError('refused', `${to} is down`)
          if (this.silent.has(to)) return new Promise(() => {})
          const answer = this.node(Number(to.slice(1))).answer(name, question)
          await this.#travel()
          return answer
        },
      })
      this.nodes.push(node)
    }
  }

  node(index: number): Node {
    const node = this.nodes[index]
    if (node === undefined) throw new Error(`no node ${index}`)
    return node
  }

  #travel(): Promise<void> {
    return new Promise((resolve) => {
      this.time.after(1, resolve)
    })
  }

  #count(name: CounterName, by: number, label: string | undefined): void {
    const counter = label === undefined ? name : `${name} ${label}`
    this.counts.set(counter, (this.counts.get(counter) ?? 0) + by)
  }
}

class Node {
  readonly rumors: ClassicRumors
  readonly held = new Map<string, Entry>()
  /** What becomes of the entries of some keys, whatever is held. */
  readonly fates = new Map<string, Fate>()

  constructor(context: ClassicRumorContext) {
    this.rumors = new ClassicRumors(context)
    this.rumors.start()
  }

  write(entry: Entry): void {
    this.held.set(entry.address, entry)
    this.rumors.ignite(entry)
  }

  takeIn(entries: readonly Entry[]): Fate[] {
    return entries.map((entry) => {
      const fate = this.fates.get(entry.address) ?? (this.held.has(entry.address) ? 'known' : 'news')
      if (fate === 'news') this.held.set(entry.address, entry)
      return fate
    })
  }

  answer<Name extends QuestionName>(name: Name, question: Question<Name>): Answer<Name> {
    const answerer = this.#answerers[name]
    if (this.rumors.isPaused || answerer === undefined) throw new RefusalError('paused', 'paused')
    return answerer(question)
  }

  readonly #answerers: { readonly [Name in QuestionName]?: (question: Question<Name>) => Answer<Name> } = {
    'hot-rumors': () => ({ entries: this.rumors.hotEntries() }),
    rumors: ({ entries, hops }) => {
      const known: number[] = []
      const lacking: number[] = []
      for (const [index, fate] of this.takeIn(entries).entries()) {
        const entry = entries[index]
        if (fate === 'news' && entry !== undefined) this.rumors.relay(entry, hops)
        else if (fate === 'parked') lacking.push(index)
        else known.push(index)
      }
      return { known, lacking }
    },
  }
}

function entryOf(key: string, counter: number): Entry {
  return {
    address: `test\0${key}`,
    keyHash: '',
    version: { hlc: { wallMs: 1, counter }, replica: '0000000000000001' },
    dot: { writer: '0000000000000002', seq: counter },
    expiresAtMs: 0,
    contentType: '',
    value: undefined,
    name: undefined,
    hash: `${key}@${counter}`,
    envelope: new Uint8Array(100),
  }
}
