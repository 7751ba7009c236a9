import { addressOf, etagOf, parseEtag, type Version } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import type { Visibility } from '../src/index.ts'
import { SmallCluster } from './small-cluster.ts'

const ALL = ['n1', 'n2', 'n3']
const NEVER = new Promise<void>(() => {})

async function put(cluster: SmallCluster, node: string, key: string, value: string | undefined): Promise<Version> {
  const result = await cluster.put(node, key, value)
  if (result.kind !== 'applied') throw new Error(result.kind)
  return result.version
}

interface Waiting {
  readonly found: Promise<Visibility>
  /** When it was answered, or undefined. */
  answeredMs: number | undefined
}

function wait(
  cluster: SmallCluster,
  node: string,
  key: string,
  version: Version,
  on: 'all' | number = 'all',
  withinMs = 60_000,
): Waiting {
  const question = { address: addressOf('things', key), version, on, withinMs, gone: NEVER }
  const waiting: Waiting = {
    answeredMs: undefined,
    found: cluster
      .node(node)
      .visibility(question)
      .then((found) => {
        if (found === 'too-many') throw new Error('too many')
        waiting.answeredMs = cluster.time.wallMs()
        return found
      }),
  }
  return waiting
}

const names = (cluster: SmallCluster, { holders }: Visibility): string[] =>
  ALL.filter((name) => holders.some(({ replica }) => replica === cluster.idOf(name)))

/** Slow enough that who holds a write is a question. */
async function slow(antiEntropyIntervalMs = 2_000): Promise<SmallCluster> {
  const cluster = await SmallCluster.of(3, { pullIntervalMs: 0, antiEntropyIntervalMs })
  cluster.node('n1').pause('rumors')
  return cluster
}

/** When each node was first seen to hold it. */
async function truth(cluster: SmallCluster, key: string, value: string): Promise<number[]> {
  const seen = new Map<string, number>()
  await cluster.time.advanceUntil(
    () => {
      for (const name of ALL)
        if (cluster.get(name, key) === value && !seen.has(name)) seen.set(name, cluster.time.wallMs())
      return seen.size === ALL.length
    },
    120_000,
    1,
  )
  return ALL.map((name) => seen.get(name) ?? 0)
}

describe('waiting for a version to be visible', () => {
  it('ends when the last live node holds it, not earlier and hardly later, and says since when each does', async () => {
    const cluster = await slow()
    const version = await put(cluster, 'n1', 'k', 'v')
    const waiting = wait(cluster, 'n2', 'k', version)
    const committed = await truth(cluster, 'k', 'v')
    await cluster.until(() => waiting.answeredMs !== undefined, 100)
    const found = await waiting.found
    // Looked for each millisecond.
    const last = Math.max(...committed)
    expect(waiting.answeredMs).toBeGreaterThan(last - 1)
    expect((waiting.answeredMs ?? 0) - last).toBeLessThanOrEqual(20)
    expect(found.reached).toBe(true)
    expect(found.holders.map(({ replica }) => replica).toSorted()).toEqual(
      ALL.map((name) => cluster.idOf(name)).toSorted(),
    )
    for (const [index, name] of ALL.entries()) {
      const { committedAtMs = 0 } = found.holders.find(({ replica }) => replica === cluster.idOf(name)) ?? {}
      const seen = committed[index] ?? 0
      // The truth was looked for each millisecond, but for n1, which had it before.
      expect(committedAtMs).toBeLessThanOrEqual(seen + 1)
      if (name !== 'n1') expect(committedAtMs).toBeGreaterThanOrEqual(seen - 2)
    }
  }, 30_000)

  it('is answered at once with the same times when all hold it already', async () => {
    const cluster = await SmallCluster.of(3)
    const version = await put(cluster, 'n1', 'k', 'v')
    const first = await cluster.finish(wait(cluster, 'n1', 'k', version).found)
    await cluster.time.advance(5_000)
    const startedMs = cluster.time.wallMs()
    const again = wait(cluster, 'n3', 'k', version)
    const found = await cluster.finish(again.found, 1_000)
    expect((again.answeredMs ?? Infinity) - startedMs).toBeLessThan(20)
    const sorted = ({ holders }: Visibility) => holders.toSorted((a, b) => (a.replica < b.replica ? -1 : 1))
    expect(sorted(found)).toEqual(sorted(first))
  })

  it('counts members when it is told a number', async () => {
    const cluster = await slow()
    const version = await put(cluster, 'n1', 'k', 'v')
    const one = await cluster.finish(wait(cluster, 'n1', 'k', version, 1).found, 100)
    expect([one.reached, names(cluster, one)]).toEqual([true, ['n1']])
    const two = wait(cluster, 'n1', 'k', version, 2)
    await cluster.until(() => two.answeredMs !== undefined)
    const held = ALL.filter((name) => cluster.get(name, 'k') === 'v')
    expect(held).toHaveLength(2)
    expect(names(cluster, await two.found)).toEqual(held)
  })

  it('ends in time with those that do hold it', async () => {
    const cluster = await slow()
    for (const name of ALL) cluster.node(name).pause('anti-entropy')
    const version = await put(cluster, 'n1', 'k', 'v')
    const startedMs = cluster.time.wallMs()
    const waiting = wait(cluster, 'n2', 'k', version, 'all', 7_000)
    const found = await cluster.finish(waiting.found, 10_000)
    expect([found.reached, names(cluster, found)]).toEqual([false, ['n1']])
    expect((waiting.answeredMs ?? 0) - startedMs).toBeLessThan(7_100)
    // More members than there are can never be.
    const four = await cluster.finish(wait(cluster, 'n1', 'k', version, 4, 1_000).found, 10_000)
    expect([four.reached, names(cluster, four)]).toEqual([false, ['n1']])
  })

  it('takes a newer version for as good, and what was deleted and purged since for newer', async () => {
    const cluster = await SmallCluster.of(3)
    const version = await put(cluster, 'n1', 'k', 'v')
    await put(cluster, 'n2', 'k', 'newer')
    expect((await cluster.finish(wait(cluster, 'n1', 'k', version).found, 1_000)).reached).toBe(true)
    const deleted = await put(cluster, 'n1', 'k', undefined)
    await cluster.time.advance(40_000)
    expect(await cluster.contents('n3')).toEqual(new Map())
    for (const purged of [version, deleted]) {
      const found = await cluster.finish(wait(cluster, 'n2', 'k', purged).found, 1_000)
      expect(names(cluster, found)).toEqual(ALL)
    }
    const future = parseEtag(etagOf({ ...version, hlc: { ...version.hlc, wallMs: version.hlc.wallMs + 3_600_000 } }))
    const found = await cluster.finish(wait(cluster, 'n2', 'k', future ?? version, 1, 500).found, 1_000)
    expect(found).toEqual({ reached: false, holders: [] })
  })

  it('does not wait for who has died, and does for who has come back', async () => {
    const cluster = await slow()
    const living = ['n1', 'n2'].map((name) => cluster.idOf(name))
    cluster.crash('n3')
    const version = await put(cluster, 'n1', 'k', 'v')
    const waiting = wait(cluster, 'n1', 'k', version)
    await cluster.until(() => waiting.answeredMs !== undefined)
    expect(new Set((await waiting.found).holders.map(({ replica }) => replica))).toEqual(new Set(living))
    await cluster.start('n3')
    await cluster.until(() => cluster.node('n1').livePeers().length === 2)
    const again = await cluster.finish(wait(cluster, 'n1', 'k', version).found)
    expect(names(cluster, again)).toEqual(ALL)
  })

  it('asks each peer with two questions at most, however many wait, and leaves nobody waiting', async () => {
    const cluster = await slow(3_600_000)
    await cluster.time.advance(1_000)
    cluster.asked.length = 0
    const waiting: Waiting[] = []
    for (let index = 0; index < 50; index++) {
      const version = await put(cluster, 'n1', `k${index}`, 'v')
      waiting.push(wait(cluster, 'n2', `k${index}`, version))
    }
    const beganMs = cluster.time.wallMs()
    cluster.node('n1').resume('rumors')
    await cluster.until(() => waiting.every(({ answeredMs }) => answeredMs !== undefined))
    expect(waiting.every(({ answeredMs = 0 }) => answeredMs > beganMs)).toBe(true)
    const questions = cluster.asked.filter(({ name, to }) => name === 'await-versions' && to === 'n3').length
    // One for each that came alone, and one every two seconds while nothing happens.
    expect(questions).toBeLessThan(50 + 30)
  })

  it('ends when whoever asked has gone', async () => {
    const cluster = await slow()
    const version = await put(cluster, 'n1', 'k', 'v')
    const gone = Promise.withResolvers<void>()
    const asked = cluster.node('n2').visibility({
      address: addressOf('things', 'k'),
      version,
      on: 'all',
      withinMs: 60_000,
      gone: gone.promise,
    })
    await cluster.time.advance(100)
    gone.resolve()
    expect(await cluster.finish(asked, 100)).toMatchObject({ reached: false })
  })
})
