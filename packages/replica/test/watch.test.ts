import {
  addressOf,
  changeTypeOf,
  etagOf,
  keyOf,
  type Version,
  type WatchChange,
  type WatchPosition,
} from '@grapevine/core'
import { afterEach, describe, expect, it } from 'vitest'
import type { Watch } from '../src/index.ts'
import { seededRandom, SmallCluster } from './small-cluster.ts'

const ALL = ['n1', 'n2', 'n3']
const BUCKET = 'things'

/** Somebody who watches, over as many nodes as it takes, and reads at once whatever comes. */
class Follower {
  readonly #cluster: SmallCluster
  readonly #prefix: string
  #watch: Watch | undefined
  position: WatchPosition | undefined
  readonly changes: WatchChange[] = []
  resyncs = 0
  /** What was told since the last position: it may come again. */
  #sincePosition = new Set<string>()
  /** Told a second time, although the position it went on from covers it. */
  repeated = 0

  constructor(cluster: SmallCluster, prefix = '') {
    this.#cluster = cluster
    this.#prefix = prefix
  }

  go(name: string): this {
    this.leave()
    const watch = this.#cluster.node(name).watch({
      bucket: BUCKET,
      prefix: addressOf(BUCKET, this.#prefix),
      after: this.position,
    })
    if (watch === undefined) throw new Error('there are too many watches')
    this.#watch = watch
    void this.#read(watch)
    return this
  }

  leave(): void {
    this.#watch?.close()
    this.#watch = undefined
  }

  get told(): string[] {
    return this.changes.map(({ type, address }) => `${type} ${keyOf(address)}`)
  }

  /** The last that was told of each key. */
  get latest(): Map<string, WatchChange> {
    return new Map(this.changes.map((change) => [keyOf(change.address), change]))
  }

  async #read(watch: Watch): Promise<void> {
    for (;;) {
      const piece = await watch.next()
      // What comes when it has gone elsewhere is lost, as it is with a connection.
      if (piece === undefined || this.#watch !== watch) return
      for (const item of piece) {
        if (item.kind === 'change') {
          const name = `${item.change.type} ${keyOf(item.change.address)} ${tag(item.change.version)}`
          const before = this.changes.some(
            (told) => `${told.type} ${keyOf(told.address)} ${tag(told.version)}` === name,
          )
          if (before && !this.#sincePosition.has(name)) this.repeated++
          this.#sincePosition.add(name)
          this.changes.push(item.change)
          continue
        }
        if (item.kind === 'resync') this.resyncs++
        this.position = item.position
        this.#sincePosition = new Set()
      }
    }
  }
}

/** The clock of these clusters has fractions, which envelopes leave out. */
function tag({ hlc, replica }: Version): string {
  return etagOf({ hlc: { wallMs: Math.floor(hlc.wallMs), counter: hlc.counter }, replica })
}

/** Keys whose last event is not what the node holds. */
function wrong(follower: Follower, cluster: SmallCluster, node: string, keys: readonly string[]): string[] {
  return keys.filter((key) => {
    const held = cluster.node(node).read(addressOf(BUCKET, key))
    const last = follower.latest.get(key)
    if (held === 'corrupt') return true
    if (held === undefined) return last !== undefined && last.type === 'put'
    const type = changeTypeOf(held, cluster.time.wallMs())
    return last === undefined || last.type !== type || tag(last.version) !== tag(held.version)
  })
}

/** Events of a key that are older than one that came before. */
function rewinds(follower: Follower): string[] {
  const newest = new Map<string, string>()
  return follower.changes.flatMap(({ type, address, version }) => {
    const key = keyOf(address)
    const etag = tag(version)
    if (etag < (newest.get(key) ?? '')) return [`${type} ${key}`]
    newest.set(key, etag)
    return []
  })
}

async function putExpiring(cluster: SmallCluster, name: string, key: string, expiresAtMs: number): Promise<void> {
  const write = { contentType: '', w: 1, timeoutMs: 2_000, value: new Uint8Array(1), expiresAtMs } as const
  await cluster.finish(cluster.node(name).write({ ...write, address: addressOf(BUCKET, key) }))
}

let open: Follower[] = []
function follow(cluster: SmallCluster, prefix = ''): Follower {
  const follower = new Follower(cluster, prefix)
  open.push(follower)
  return follower
}

afterEach(() => {
  for (const follower of open) follower.leave()
  open = []
})

describe('a watch', () => {
  it('tells of what is written here and elsewhere from then on, of its keys alone, and how it came', async () => {
    const cluster = await SmallCluster.of(2)
    await cluster.put('n1', 'a0', 'before')
    const follower = follow(cluster, 'a').go('n1')
    await cluster.put('n1', 'a1', 'x')
    await cluster.put('n1', 'b1', 'x')
    await cluster.put('n2', 'a2', 'x')
    await cluster.put('n2', 'a1', undefined)
    await cluster.until(() => follower.changes.length >= 3)
    expect(follower.told).toEqual(['put a1', 'put a2', 'delete a1'])
    expect(follower.changes.map(({ via }) => via)).toEqual(['local', 'rumor', 'rumor'])
    for (const { lagMs } of follower.changes) expect(lagMs).toBeLessThan(20)
    const held = cluster.node('n1').read(addressOf(BUCKET, 'a2'))
    expect(held).toMatchObject({ version: follower.changes[1]?.version })
  })

  it('tells of what expires when it does, also of what is expired when it comes', async () => {
    const cluster = await SmallCluster.of(2)
    const follower = follow(cluster).go('n1')
    const startMs = cluster.time.wallMs()
    await putExpiring(cluster, 'n1', 'soon', startMs + 700)
    await putExpiring(cluster, 'n2', 'later', startMs + 5_000)
    await cluster.until(() => follower.told.includes('expire soon'))
    expect(cluster.time.wallMs() - startMs).toBeLessThan(720)
    await cluster.until(() => follower.told.includes('expire later'))
    expect(cluster.time.wallMs() - startMs).toBeLessThan(5_020)
    cluster.cut.add('n2>*')
    await putExpiring(cluster, 'n2', 'late', cluster.time.wallMs() + 100)
    await cluster.time.advance(1_000)
    cluster.cut.clear()
    await cluster.until(() => follower.told.includes('expire late'))
    expect(follower.told.filter((told) => told.endsWith('late'))).toEqual(['expire late'])
    // Written anew in time, so that nothing expires.
    await putExpiring(cluster, 'n1', 'kept', cluster.time.wallMs() + 200)
    await cluster.put('n1', 'kept', 'x')
    await cluster.time.advance(3_000)
    expect(follower.told.filter((told) => told.endsWith('kept'))).toEqual(['put kept', 'put kept'])
  })

  it('goes on, on any node, from its last position: everything after it comes, and little of what was before', async () => {
    const cluster = await SmallCluster.of(3)
    for (let index = 0; index < 50; index++) await cluster.put('n1', `old${index}`, 'x')
    const follower = follow(cluster).go('n1')
    await cluster.time.advance(50)
    follower.leave()
    expect(follower.changes).toEqual([])
    for (let index = 0; index < 20; index++) await cluster.put(ALL[index % 3] ?? 'n1', `new${index}`, 'x')
    await cluster.put('n2', 'old7', undefined)
    await putExpiring(cluster, 'n3', 'gone', cluster.time.wallMs() + 100)
    await cluster.time.advance(5_000)
    follower.go('n2')
    await cluster.until(() => follower.changes.length >= 22)
    await cluster.time.advance(2_000)
    const news = Array.from({ length: 20 }, (_, index) => `put new${index}`)
    expect([...new Set(follower.told)].toSorted()).toEqual([...news, 'delete old7', 'expire gone'].toSorted())
    // With the position of its end the same comes nowhere again.
    follower.go('n3')
    await cluster.time.advance(2_000)
    expect(follower.repeated).toBe(0)
    expect(follower.resyncs).toBe(0)
  })

  it('tells of deletes that were purged meanwhile, as long as the node remembers them', async () => {
    const cluster = await SmallCluster.of(3)
    for (let index = 0; index < 10; index++) await cluster.put('n1', `k${index}`, 'x')
    const follower = follow(cluster).go('n1')
    await cluster.time.advance(1_500)
    follower.leave()
    for (let index = 0; index < 10; index++) await cluster.put('n2', `k${index}`, undefined)
    await cluster.put('n2', 'k3', 'again')
    await cluster.until(() => ALL.every((name) => cluster.node(name).status().report.totals.tombstones === 0))
    follower.go('n3')
    await cluster.until(() => follower.latest.size >= 10)
    await cluster.time.advance(1_500)
    expect(
      wrong(
        follower,
        cluster,
        'n3',
        Array.from({ length: 10 }, (_, index) => `k${index}`),
      ),
    ).toEqual([])
    expect(follower.told.filter((told) => told.startsWith('delete'))).toHaveLength(9)
    expect(follower.resyncs).toBe(0)
  })

  it('says that something may be missed, when a node was started after what was purged', async () => {
    const cluster = await SmallCluster.of(3)
    await cluster.put('n1', 'k', 'x')
    const follower = follow(cluster).go('n1')
    await cluster.time.advance(1_500)
    follower.leave()
    await cluster.put('n2', 'k', undefined)
    await cluster.until(() => ALL.every((name) => cluster.node(name).status().report.totals.tombstones === 0))
    cluster.crash('n3')
    await cluster.start('n3')
    await cluster.until(() => cluster.node('n3').status().ready)
    follower.go('n3')
    await cluster.until(() => follower.resyncs === 1)
    expect(follower.changes).toEqual([])
    await cluster.put('n1', 'then', 'x')
    await cluster.until(() => follower.told.includes('put then'))
    // And from there it goes on anywhere.
    await cluster.time.advance(1_500)
    follower.go('n1')
    await cluster.time.advance(1_500)
    expect([follower.resyncs, follower.told]).toEqual([1, ['put then']])
  })

  it('waits on a node that has not seen what was told elsewhere, instead of going back', async () => {
    const cluster = await SmallCluster.of(3)
    const follower = follow(cluster).go('n1')
    cluster.cut.add('n3>*')
    await cluster.put('n3', 'k', 'old')
    await cluster.time.advance(1_000)
    await cluster.put('n1', 'k', 'new')
    await cluster.until(() => follower.changes.length === 1)
    await cluster.time.advance(1_500)
    follower.go('n3')
    await cluster.time.advance(3_000)
    expect(follower.changes).toHaveLength(1)
    cluster.cut.clear()
    await cluster.put('n3', 'other', 'x')
    await cluster.until(() => follower.told.includes('put other'))
    expect(rewinds(follower)).toEqual([])
    expect(wrong(follower, cluster, 'n3', ['k', 'other'])).toEqual([])
  })

  it('goes on without what nobody here has, after a while', async () => {
    const cluster = await SmallCluster.of(3)
    const follower = follow(cluster).go('n1')
    cluster.cut.add('n1>*')
    await cluster.put('n1', 'k', 'lost for now')
    await cluster.time.advance(1_500)
    await cluster.put('n3', 'k', 'what there is')
    follower.go('n3')
    await cluster.until(() => follower.changes.length === 2)
    expect(wrong(follower, cluster, 'n3', ['k'])).toEqual([])
  })

  it('never goes back while it reads from the store and all the time something is written', async () => {
    const cluster = await SmallCluster.of(2)
    const keys = Array.from({ length: 60 }, (_, index) => `k${index}`)
    const follower = follow(cluster).go('n1')
    const write = { contentType: '', w: 1, timeoutMs: 60_000, value: new Uint8Array(1), expiresAtMs: 0 } as const
    for (let round = 0; round < 3; round++) {
      await cluster.time.advance(1_100)
      follower.leave()
      const writeAll = (): Promise<unknown>[] =>
        keys.map((key) => cluster.node('n2').write({ ...write, address: addressOf(BUCKET, key) }))
      await cluster.finish(Promise.all(writeAll()))
      const writes: Promise<unknown>[] = []
      follower.go('n2')
      for (let times = 0; times < 8; times++) {
        writes.push(...writeAll())
        // Some turns of the event loop, in which the watch reads and the commits land.
        for (let turn = 0; turn < 30; turn++) await Promise.resolve()
      }
      await cluster.finish(Promise.all(writes))
    }
    await cluster.time.advance(2_000)
    expect(rewinds(follower)).toEqual([])
    expect(wrong(follower, cluster, 'n2', keys)).toEqual([])
  }, 20_000)

  it('reads on from the store when it is too slow for the feed, and misses no final state', async () => {
    const cluster = new SmallCluster({ feedItems: 100 })
    const node = await cluster.start('n1', { found: true })
    await cluster.until(() => node.status().ready)
    const watch = node.watch({ bucket: BUCKET, prefix: addressOf(BUCKET, ''), after: undefined })
    if (watch === undefined) throw new Error('no watch')
    // While it waits for its reader, a fifth more is written than the feed can keep, again and again.
    const latest = new Map<string, string>()
    let events = 0
    let pieces = 0
    for (let round = 0; round < 8; round++) {
      await Promise.all(
        Array.from({ length: 120 }, (_, index) => cluster.put('n1', `k${(index * 7) % 300}`, `${round}`)),
      )
      await cluster.time.advance(500)
      for (let more = true; more;) {
        const piece = await cluster.finish(watch.next())
        more = piece?.at(-1)?.kind === 'change'
        pieces++
        for (const item of piece ?? [])
          if (item.kind === 'change') {
            latest.set(keyOf(item.change.address), tag(item.change.version))
            events++
          }
      }
    }
    expect(pieces).toBeGreaterThan(8)
    expect(latest.size).toBe(120)
    for (const [key, etag] of latest) {
      const held = node.read(addressOf(BUCKET, key))
      expect(typeof held === 'object' && tag(held.version)).toBe(etag)
    }
    expect(events).toBeLessThan(2 * 8 * 120)
    watch.close()
    expect(await watch.next()).toBeUndefined()
    expect(node.status().watchers).toBe(0)
  })

  it('misses nothing when what was committed is not known any more, and the store is opened again', async () => {
    const cluster = await SmallCluster.of(1)
    const follower = follow(cluster).go('n1')
    await cluster.put('n1', 'a', '1')
    const db = cluster.database('n1')
    const chained = db.batch.bind(db)
    const failing = (): ReturnType<typeof chained> => {
      const batch = chained()
      const write = batch.write.bind(batch)
      // It is on disk, and nobody is told so: as after a failed sync.
      return Object.assign(batch, {
        write: async () => {
          Object.assign(db, { batch: chained })
          await write()
          throw new Error('the sync failed')
        },
      })
    }
    Object.assign(db, { batch: failing })
    await expect(cluster.put('n1', 'b', '1')).rejects.toMatchObject({ outcome: 'unknown' })
    await cluster.until(() => follower.told.includes('put b'))
    await cluster.put('n1', 'c', '1')
    await cluster.until(() => follower.told.includes('put c'))
    expect(wrong(follower, cluster, 'n1', ['a', 'b', 'c'])).toEqual([])
  })

  it('ends when it is closed, at any moment, and when the replica stops', async () => {
    const cluster = await SmallCluster.of(1)
    const [one, other] = [follow(cluster).go('n1'), follow(cluster).go('n1')]
    await cluster.time.advance(10)
    expect(cluster.node('n1').status().watchers).toBe(2)
    one.leave()
    expect(cluster.node('n1').status().watchers).toBe(1)
    other.leave()
    expect(cluster.node('n1').status().watchers).toBe(0)
    await cluster.put('n1', 'k', 'x')
    expect([one.changes, other.changes]).toEqual([[], []])

    const watch = cluster.node('n1').watch({ bucket: BUCKET, prefix: addressOf(BUCKET, ''), after: undefined })
    expect(await watch?.next()).toMatchObject([{ kind: 'position' }])
    const waiting = watch?.next()
    await cluster.time.advance(10)
    await cluster.finish(cluster.node('n1').stop())
    expect(await waiting).toBeUndefined()
  })

  it.each([1, 2, 3])(
    'sees every final state, never goes back, and repeats only what it may, while nodes die (seed %i)',
    async (seed) => {
      const cluster = await SmallCluster.of(3, { purgeIntervalMs: 4_000 }, seed)
      const random = seededRandom(seed)
      const pick = <T>(from: readonly T[]): T => from[Math.floor(random.next() * from.length)] as T
      const keys = Array.from({ length: 30 }, (_, index) => `k${index}`)
      const follower = follow(cluster).go('n1')
      let at = 'n1'
      let down: string | undefined
      for (let step = 0; step < 150; step++) {
        const up = ALL.filter((name) => name !== down && cluster.node(name).status().ready)
        const name = pick(up)
        const chance = random.next()
        if (chance < 0.6) await cluster.put(name, pick(keys), `${step}`)
        else if (chance < 0.75) await cluster.put(name, pick(keys), undefined)
        else if (chance < 0.8) await putExpiring(cluster, name, pick(keys), cluster.time.wallMs() + 300)
        else if (chance < 0.9) await cluster.time.advance(random.next() * 1_500)
        else if (down === undefined) {
          // All of it has been heard elsewhere: what only a dead node has told nobody can tell of.
          await cluster.until(() => cluster.isConverged(...ALL))
          down = at
          cluster.crash(at)
          at = pick(ALL.filter((other) => other !== down && cluster.node(other).status().ready))
          follower.go(at)
        } else {
          await cluster.start(down)
          const back = down
          await cluster.until(() => cluster.node(back).status().ready)
          down = undefined
        }
      }
      if (down !== undefined) await cluster.start(down)
      await cluster.until(() => ALL.every((name) => cluster.node(name).status().ready) && cluster.isConverged(...ALL))
      await cluster.time.advance(20_000)
      const written = keys.filter((key) => follower.latest.has(key) || cluster.get(at, key) !== undefined)
      if (follower.resyncs === 0) expect(wrong(follower, cluster, at, written)).toEqual([])
      expect(rewinds(follower)).toEqual([])
      // Of runs that ended and were folded meanwhile a node that was restarted cannot know what the position covers.
      expect(follower.repeated).toBeLessThan(follower.changes.length / 4)
      expect(follower.resyncs).toBeLessThanOrEqual(2)
    },
    30_000,
  )
})
