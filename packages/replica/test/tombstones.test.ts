import { addressOf, compareHlc, FRONTIER_GROUNDS_MAX, type FrontierGrounds } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { groundsFor } from '../src/tombstone-reports.ts'
import type { TombstoneExplanation, TombstoneReport } from '../src/index.ts'
import { SmallCluster } from './small-cluster.ts'

const ALL = ['n1', 'n2', 'n3']
const K = addressOf('things', 'k')

function report(cluster: SmallCluster, name: string): Promise<TombstoneReport> {
  return cluster.finish(cluster.node(name).tombstones())
}

function explain(cluster: SmallCluster, name: string, address = K): Promise<TombstoneExplanation> {
  return cluster.finish(cluster.node(name).explainTombstone(address))
}

function counts({ members }: TombstoneReport): (readonly [string, number | undefined])[] {
  return members
    .map(({ member, answer }) => [member.name, answer?.totals.tombstones] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
}

function waits({ waits: waiting }: TombstoneReport): (readonly [string, string | undefined])[] {
  return waiting.map(({ member, waits: reason }) => [member.name, reason])
}

function isPurged(cluster: SmallCluster, names: readonly string[] = ALL): boolean {
  return names.every((name) => cluster.node(name).status().report.totals.tombstones === 0)
}

/** Two nodes keep a tombstone because of the third, of which they have heard before. */
async function withSilentMember(): Promise<SmallCluster> {
  const cluster = await SmallCluster.of(3)
  await cluster.put('n1', 'k', 'value', 'all')
  await Promise.all(ALL.map((name) => report(cluster, name)))
  cluster.crash('n3')
  await cluster.put('n2', 'k', undefined)
  await cluster.time.advance(60_000)
  return cluster
}

describe('the report on tombstones', () => {
  it('counts them on every member, and names nobody while nothing waits', async () => {
    const cluster = await SmallCluster.of(3)
    const before = await report(cluster, 'n1')
    expect(before).toMatchObject({ looked: true, oldest: undefined, waits: [], isPilingUp: false })
    await cluster.put('n1', 'k', 'value', 'all')
    await cluster.put('n1', 'k', undefined, 'all')
    // Asking is looking: what all have seen goes at once.
    const after = await report(cluster, 'n2')
    expect(counts(after)).toEqual([
      ['n1', 0],
      ['n2', 0],
      ['n3', 0],
    ])
    expect(after.waits).toEqual([])
    expect(after.raisedAtMs).toBeLessThanOrEqual(cluster.time.wallMs())
    expect(compareHlc(after.frontier, before.frontier)).toBeGreaterThan(0)
  })

  it.each(['n1', 'n2'])(
    'asked at %s names the silent member, and since when, wherever that was noticed',
    async (name) => {
      const cluster = await withSilentMember()
      const told = await report(cluster, name)
      expect(waits(told)).toEqual([['n3', 'lacks-entries']])
      const [hold] = told.waits
      expect(hold?.member.state).toBe('dead')
      expect(hold?.lacks).toBe(1)
      // One of the two looks for both, every ten seconds, so since the first look behind the delete.
      expect(hold?.heldForMs).toBeGreaterThan(40_000)
      expect(hold?.heldForMs).toBeLessThanOrEqual(60_500)
      expect(counts(told)).toEqual([
        ['n1', 1],
        ['n2', 1],
        ['n3', undefined],
      ])
      expect(told.oldest?.wallMs).toBeGreaterThan(cluster.time.wallMs() - 70_000)
    },
  )

  it('says of a member that nobody has heard since the start that it is silent', async () => {
    const cluster = await withSilentMember()
    for (const name of ['n1', 'n2']) {
      cluster.crash(name)
      await cluster.start(name)
    }
    await cluster.until(() => ['n1', 'n2'].every((name) => cluster.node(name).status().ready), 20_000)
    await cluster.until(() => cluster.node('n1').members().length === 3)
    // The two that were started again wait themselves, for a word of the third.
    expect(new Map(waits(await report(cluster, 'n1')))).toEqual(
      new Map([
        ['n1', 'unacquainted'],
        ['n2', 'unacquainted'],
        ['n3', 'silent'],
      ]),
    )
    expect((await explain(cluster, 'n2')).acknowledgements.find(({ member }) => member.name === 'n3')).toMatchObject({
      waits: 'silent',
      promise: undefined,
    })
  })

  it('counts the time anew once the frontier has moved', async () => {
    const cluster = await withSilentMember()
    const lags = (): number => cluster.node('n1').status().frontierLagsMs['n3'] ?? 0
    const others = (): number => cluster.node('n2').status().frontierLagsMs['n3'] ?? 0
    expect(Math.max(lags(), others())).toBeGreaterThan(40_000)
    await cluster.start('n3')
    await cluster.until(() => isPurged(cluster), 60_000)
    expect([lags(), others()]).toEqual([0, 0])
    await cluster.put('n1', 'again', undefined)
    cluster.crash('n3')
    await cluster.put('n1', 'once more', undefined)
    await cluster.time.advance(15_000)
    const [hold] = (await report(cluster, 'n1')).waits
    expect(hold?.heldForMs).toBeLessThan(20_000)
  })

  it('tells what was said before while the node is paused, and raises nothing', async () => {
    const cluster = await SmallCluster.of(2)
    await cluster.put('n1', 'k', 'value', 'all')
    for (const name of ['n1', 'n2']) cluster.node(name).pause('anti-entropy')
    await cluster.put('n1', 'k', undefined, 'all')
    await cluster.time.advance(30_000)
    const told = await report(cluster, 'n1')
    expect([told.looked, told.members.map(({ answer }) => answer?.totals.tombstones)]).toEqual([false, [1, 1]])
    expect((await explain(cluster, 'n1')).looked).toBe(false)
    cluster.node('n1').resume('anti-entropy')
    await report(cluster, 'n1')
    await cluster.until(() => isPurged(cluster, ['n1', 'n2']), 1_000)
  })

  it('warns, once, when tombstones are many and do not go, and says when they went', async () => {
    const cluster = await SmallCluster.of(2)
    cluster.crash('n2')
    const keys = Array.from({ length: 1_000 }, (_, index) => `k${index}`)
    await Promise.all(keys.map((key) => cluster.put('n1', key, undefined)))
    await cluster.time.advance(45_000)
    expect(cluster.node('n1').status().tombstonesPileUp).toBe(false)
    await cluster.time.advance(60_000)
    expect(cluster.warnings.filter((line) => line.includes('tombstones'))).toEqual(['n1: tombstones-pile-up'])
    expect((await report(cluster, 'n1')).isPilingUp).toBe(true)
    expect(cluster.node('n1').status().tombstonesPileUp).toBe(true)
    await cluster.start('n2')
    await cluster.until(() => isPurged(cluster, ['n1', 'n2']), 60_000)
    await cluster.until(() => !cluster.node('n1').status().tombstonesPileUp, 15_000)
    expect(cluster.warnings.filter((line) => line.includes('tombstones'))).toHaveLength(1)
  })
})

describe('the explanation of a key', () => {
  it('is true while it lives, waits, and is gone, and stays so over restarts', async () => {
    const cluster = await SmallCluster.of(3)
    expect(await explain(cluster, 'n1')).toMatchObject({ state: 'unknown', purged: undefined, grounds: undefined })
    await cluster.put('n1', 'k', 'value', 'all')
    await report(cluster, 'n1')
    const alive = await explain(cluster, 'n1')
    expect(alive).toMatchObject({ state: 'value', purgeableAt: undefined, acknowledgements: [] })
    expect(alive.keys.map(({ state }) => state)).toEqual(['value', 'value', 'value'])

    cluster.crash('n3')
    const written = await cluster.put('n2', 'k', undefined, 2)
    const version = written.kind === 'applied' ? written.version : undefined
    await cluster.time.advance(20_000)
    const waiting = await explain(cluster, 'n1')
    expect(waiting).toMatchObject({ state: 'waiting', held: { version, tombstone: true }, purgeableAt: version?.hlc })
    expect(waiting.acknowledgements.map(({ member, lacks, waits: reason }) => [member.name, lacks, reason])).toEqual(
      expect.arrayContaining([
        ['n1', 0, undefined],
        ['n2', 0, undefined],
        ['n3', 1, 'lacks-entries'],
      ]),
    )
    const last = waiting.acknowledgements.find(({ member }) => member.name === 'n3')?.promise
    expect(last !== undefined && version !== undefined && compareHlc(last, version.hlc) < 0).toBe(true)
    expect(new Map(waiting.keys.map(({ member, state }) => [member.name, state]))).toEqual(
      new Map([
        ['n1', 'tombstone'],
        ['n2', 'tombstone'],
        ['n3', 'unreachable'],
      ]),
    )

    await cluster.start('n3')
    await cluster.until(() => isPurged(cluster), 60_000)
    const gone: TombstoneExplanation[] = []
    for (const name of ALL) gone.push(await explain(cluster, name))
    for (const told of gone) isTold(told, version)
    // Whoever decided, all tell the same.
    expect(new Set(gone.map(({ grounds }) => JSON.stringify(grounds?.said))).size).toBe(1)

    for (const name of ALL) {
      cluster.crash(name)
      await cluster.start(name)
    }
    await cluster.until(() => ALL.every((name) => cluster.node(name).status().ready), 20_000)
    await cluster.until(() => cluster.node('n2').livePeers().length === 2)
    const after = await explain(cluster, 'n2')
    isTold(after, version)
    expect(after.grounds?.said).toEqual(gone[1]?.grounds?.said)
    expect(after.purged).toEqual(gone[1]?.purged)
    expect(after.rememberedSinceMs).toBe(after.purged?.purgedAtMs)
  })

  it('is of an expired value what it is of a tombstone', async () => {
    const cluster = await SmallCluster.of(2)
    const expiresAtMs = Math.round(cluster.time.wallMs()) + 30_000
    const write = {
      address: K,
      value: Buffer.from('v'),
      contentType: '',
      expiresAtMs,
      w: 'all',
      timeoutMs: 2_000,
    } as const
    await cluster.finish(cluster.node('n1').write(write))
    expect(await explain(cluster, 'n2')).toMatchObject({ state: 'value', purgeableAt: { wallMs: expiresAtMs } })
    await cluster.time.advance(28_000)
    await report(cluster, 'n1')
    cluster.crash('n2')
    await cluster.time.advance(20_000)
    const waiting = await explain(cluster, 'n1')
    // It has seen all there is; only its word that the time has passed is wanting.
    expect(waiting.acknowledgements.find(({ member }) => member.name === 'n2')).toMatchObject({
      lacks: 0,
      waits: 'promised-less',
    })
    expect(waiting).toMatchObject({ state: 'waiting', held: { tombstone: false } })
    await cluster.start('n2')
    await cluster.until(() => cluster.node('n1').status().report.totals.bytes === 0, 60_000)
    const gone = await explain(cluster, 'n1')
    expect(gone).toMatchObject({ state: 'purged', purged: { expiresAtMs } })
    for (const [, promise] of gone.grounds?.said.promises ?? [])
      expect(promise.wallMs).toBeGreaterThanOrEqual(expiresAtMs)
  })

  it('says who was not asked because it was evicted', async () => {
    const cluster = await withSilentMember()
    const silent =
      cluster
        .node('n1')
        .members()
        .find(({ name }) => name === 'n3')?.replica ?? ''
    await cluster.finish(cluster.node('n1').evict(silent))
    await cluster.until(() => isPurged(cluster, ['n1', 'n2']), 60_000)
    const { grounds } = await explain(cluster, 'n2')
    expect(grounds?.said.evicted).toEqual([silent])
    expect(grounds?.said.promises).toHaveLength(2)
  })

  it('is had of another member where this one never held the key', async () => {
    const cluster = await SmallCluster.of(2)
    await cluster.put('n1', 'k', 'value', 'all')
    await cluster.put('n1', 'k', undefined, 'all')
    await cluster.until(() => isPurged(cluster, ['n1', 'n2']), 60_000)
    await cluster.start('n3')
    await cluster.until(() => cluster.node('n3').status().ready, 20_000)
    const told = await explain(cluster, 'n3')
    expect(told.state).toBe('purged')
    expect(told.keys.map(({ state }) => state).toSorted()).toEqual(['nothing', 'purged', 'purged'])
    expect(told.grounds?.said.promises).toHaveLength(2)
    expect(told.rememberedSinceMs).toBeUndefined()
  })
})

describe('the grounds of a purge', () => {
  const grounds = (wallMs: number): FrontierGrounds => ({
    frontier: { wallMs, counter: 0 },
    atMs: wallMs + 5,
    takenFrom: '',
    promises: [],
    evicted: [],
  })
  const upTo = (count: number, from = 1): FrontierGrounds[] =>
    Array.from({ length: count }, (_, index) => grounds((from + index) * 10)).toReversed()

  it('are those of the first raise that passed it', () => {
    const at = { wallMs: 25, counter: 0 }
    expect(groundsFor(at, 40, upTo(5))).toEqual(grounds(30))
    expect(groundsFor({ wallMs: 51, counter: 0 }, 60, upTo(5))).toBeUndefined()
    expect(groundsFor(at, 40, [])).toBeUndefined()
  })

  it('are forgotten when older raises were dropped and what is left came after the purge', () => {
    const kept = upTo(FRONTIER_GROUNDS_MAX, 100)
    expect(groundsFor({ wallMs: 25, counter: 0 }, 40, kept)).toBeUndefined()
    expect(groundsFor({ wallMs: 995, counter: 0 }, 1_006, kept)).toEqual(grounds(1_000))
    expect(groundsFor({ wallMs: 1_005, counter: 0 }, 1_020, kept)).toEqual(grounds(1_010))
  })
})

function isTold(told: TombstoneExplanation, version: TombstoneExplanation['purgeableAt'] | unknown): void {
  expect(told).toMatchObject({ state: 'purged', purged: { version, expiresAtMs: 0 } })
  expect(told.keys.map(({ state }) => state)).toEqual(['purged', 'purged', 'purged'])
  const said = told.grounds?.said
  if (said === undefined || told.purgeableAt === undefined) throw new Error('grounds are told')
  expect(said.takenFrom).toBe('')
  expect(said.promises).toHaveLength(3)
  // The very thing that made it safe: all had promised at least F, and F is not below what went.
  for (const [, promise] of said.promises) expect(compareHlc(promise, said.frontier)).toBeGreaterThanOrEqual(0)
  expect(compareHlc(said.frontier, told.purgeableAt)).toBeGreaterThanOrEqual(0)
  expect(said.union?.writes).toBe(2)
  expect(said.union?.hash).toMatch(/^[0-9a-f]{16}$/)
}
