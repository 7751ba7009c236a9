import { RefusalError, UnreachableError } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { StrangerWatch } from '../src/stranger-watch.ts'
import { SmallCluster } from './small-cluster.ts'
import { VirtualTime } from './virtual-time.ts'

const SELF = 'self'
const WHO = new RefusalError('not-introduced', 'who is that?')

/** Lets each of these members answer once a second. */
async function answers(
  errors: Readonly<Record<string, unknown>>,
  seconds: number,
  time: VirtualTime,
  watch: StrangerWatch,
): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    await time.advance(1_000)
    for (const [replica, error] of Object.entries(errors)) watch.note(replica, error)
  }
}

function watchAmong(
  members: readonly string[],
  antiEntropyIntervalMs = 10_000,
  isNew = false,
): [VirtualTime, StrangerWatch] {
  const time = new VirtualTime()
  const log = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} }
  const watch = new StrangerWatch({
    sponsor: '',
    clock: time,
    log,
    others: () => members.filter((replica) => replica !== SELF),
    isHeardOf: (replica) => replica !== 'unheard-of',
    antiEntropyIntervalMs,
    isNew,
  })
  return [time, watch]
}

describe('a member that others do not know', () => {
  it('is a stranger once more than half of the others have refused it for long', async () => {
    const [time, watch] = watchAmong([SELF, 'a', 'b', 'c'])
    await answers({ a: WHO, b: WHO, c: undefined }, 30, time, watch)
    expect(watch.isStranger).toBe(false)
    expect(watch.refusing()).toEqual(['a', 'b'])
    await answers({ a: WHO, b: WHO, c: undefined }, 1, time, watch)
    expect(watch.isStranger).toBe(true)
  })

  it('waits for as many anti-entropy rounds as an introduction may take', async () => {
    const [time, watch] = watchAmong([SELF, 'a'], 60_000)
    await answers({ a: WHO }, 180, time, watch)
    expect(watch.isStranger).toBe(false)
    await answers({ a: WHO }, 1, time, watch)
    expect(watch.isStranger).toBe(true)
  })

  it('is none for the sake of a half of them, such as one of two that cannot store a roster', async () => {
    const [time, watch] = watchAmong([SELF, 'a', 'b'])
    await answers({ a: WHO, b: new UnreachableError('refused', 'down') }, 3_600, time, watch)
    expect(watch.isStranger).toBe(false)
    expect(watch.refusing()).toEqual(['a'])
  })

  it('lets nobody in while it is refused, and after its join not before half have answered', () => {
    const [, old] = watchAmong([SELF, 'a', 'b', 'c'])
    expect(old.mayIntroduce).toBe(true)
    old.note('a', WHO)
    expect(old.mayIntroduce).toBe(false)
    old.note('a')
    expect(old.mayIntroduce).toBe(true)
    expect(old.inDoubt).toEqual([])

    const [, joined] = watchAmong([SELF, 'a', 'b', 'c'], 10_000, true)
    joined.note('a')
    expect(joined.mayIntroduce).toBe(false)
    joined.note('b', WHO)
    expect(joined.mayIntroduce).toBe(false)
    expect(joined.inDoubt).toEqual(['b', 'c'])
    joined.note('b')
    expect(joined.mayIntroduce).toBe(true)
  })

  // Found by the simulator (seed 112461): all that it knew were evicted, and of their successors it had let in none was there yet.
  it('goes on letting others in when those that knew it are replaced', () => {
    const members = [SELF, 'a', 'b', 'c']
    const [, watch] = watchAmong(members, 10_000, true)
    watch.note('a')
    watch.note('b')
    members.splice(1, 3, 'd', 'e')
    expect(watch.mayIntroduce).toBe(true)
    watch.note('d', WHO)
    expect(watch.mayIntroduce).toBe(false)
  })

  it('is forgotten by whoever knew it and does not any more', () => {
    const [, watch] = watchAmong([SELF, 'a', 'b', 'c'])
    watch.note('a', WHO)
    watch.note('b')
    watch.note('c', new RefusalError('not-bootstrapped', 'later'))
    expect(watch.forgetful).toEqual([])
    watch.note('b', WHO)
    watch.note('c', WHO)
    expect(watch.forgetful).toEqual(['b', 'c'])
  })

  it('counts those whose place another one has taken with those that refuse it, if any does', async () => {
    const [time, watch] = watchAmong([SELF, 'a', 'b', 'c', 'd'])
    expect([watch.unheard(false), watch.unheard(true)]).toEqual([[], ['a', 'b', 'c', 'd']])
    await time.advance(1_000)
    for (const replica of ['b', 'c', 'd']) watch.noteReplaced(replica)
    expect(watch.isStranger).toBe(false)
    await answers({ a: WHO }, 31, time, watch)
    expect([watch.isStranger, watch.unheard(false)]).toEqual([false, ['b', 'c', 'd']])
    watch.noteReplaced('b')
    expect(watch.isStranger).toBe(false)
    watch.noteReplaced('c')
    expect(watch.isStranger).toBe(true)
  })

  it('is a stranger when all others were replaced, as long as their successors are there', async () => {
    const [time, watch] = watchAmong([SELF, 'a', 'b', 'unheard-of'])
    const seen = async (replaced: readonly string[], seconds: number): Promise<void> => {
      for (let second = 0; second < seconds; second++) {
        await time.advance(1_000)
        for (const replica of replaced) watch.noteReplaced(replica)
      }
    }
    await seen(['a', 'b'], 60)
    expect(watch.isStranger).toBe(false)
    await seen(['a', 'b'], 1)
    expect(watch.isStranger).toBe(true)
    await seen(['a'], 16)
    expect(watch.isStranger).toBe(false)
  })

  it('is none when a refusal is followed by an answer, or by silence', async () => {
    const [time, watch] = watchAmong([SELF, 'a'])
    await answers({ a: WHO }, 25, time, watch)
    await answers({ a: new RefusalError('paused', 'later') }, 1, time, watch)
    await answers({ a: WHO }, 25, time, watch)
    expect(watch.isStranger).toBe(false)
    await answers({ a: new UnreachableError('timeout', 'cut off') }, 60, time, watch)
    expect(watch.refusing()).toEqual([])
    await answers({ a: WHO }, 25, time, watch)
    expect(watch.isStranger).toBe(false)
  })
})

// Found by the simulator (seed 50054).
it('begins anew when the only member that knew it was evicted before it told anybody', async () => {
  const cluster = await SmallCluster.of(3)
  const sponsor = cluster.idOf('n3')
  for (const link of ['n1>n3', 'n3>n1', 'n2>n3', 'n3>n2', 'n1>n4', 'n4>n1', 'n2>n4', 'n4>n2']) cluster.cut.add(link)
  await cluster.time.advance(30_000)
  expect(await cluster.finish(cluster.node('n1').evict(sponsor))).toBe(true)
  await cluster.start('n4')
  await cluster.until(() => cluster.node('n4').status().ready, 60_000)
  await cluster.put('n4', 'k', 'v')
  const stranger = cluster.idOf('n4')

  cluster.crash('n3')
  cluster.cut.clear()
  await cluster.time.advance(15_000)
  // Nobody is let in by it: the others would not know them either.
  await cluster.start('n5', { seeds: ['n4:7701'] })
  await cluster.time.advance(10_000)
  expect(cluster.node('n5').status().ready).toBe(false)
  expect(cluster.node('n5').status().reason).toContain('do not know this node')
  expect(cluster.fatal('n4')).toEqual([])
  await cluster.until(() => cluster.fatal('n4').length > 0, 60_000)
  expect(cluster.fatal('n4')[0]).toMatchObject({ code: 'not_introduced' })

  await cluster.wipe('n4')
  await cluster.start('n4', { former: [stranger] })
  await cluster.until(() => cluster.node('n4').status().ready && cluster.node('n5').status().ready, 60_000)
  await cluster.time.advance(30_000)
  expect(cluster.isConverged('n1', 'n2', 'n4', 'n5')).toBe(true)
}, 30_000)

// Found by the simulator (seed 100585): all whom it still knew were gone, and nobody else was listened to.
it('tells a node whose disk was rolled back to before it joined', async () => {
  const cluster = await SmallCluster.of(2)
  await cluster.copyDisk('n2', 'copy')
  await cluster.start('n2')
  await cluster.until(() => cluster.node('n2').status().ready)
  cluster.crash('n1')
  await cluster.time.advance(20_000)
  await cluster.start('n3')
  await cluster.until(() => cluster.node('n3').status().ready, 60_000)

  cluster.crash('n2')
  await cluster.start('copy', { as: 'n2' })
  await cluster.until(() => cluster.fatal('copy').length > 0, 60_000)
  expect(cluster.fatal('copy')[0]).toMatchObject({ code: 'rolled_back' })
  expect(cluster.fatal('n3')).toEqual([])
}, 30_000)

it('finds that all members it knows were replaced while it was away, and that nobody evicted it', async () => {
  const cluster = await SmallCluster.of(3)
  await cluster.put('n1', 'k', 'v', 'all')
  cluster.crash('n3')
  for (const name of ['n1', 'n2']) await cluster.replace(name)
  await cluster.start('n3')
  const left = cluster.idOf('n3')
  await cluster.until(() => cluster.fatal('n3').length > 0, 120_000)
  expect(cluster.fatal('n3')[0]).toMatchObject({ code: 'not_introduced' })
  expect([cluster.fatal('n1'), cluster.fatal('n2')]).toEqual([[], []])

  await cluster.wipe('n3')
  await cluster.start('n3', { former: [left] })
  await cluster.until(() => cluster.node('n3').status().ready, 60_000)
  await cluster.time.advance(30_000)
  expect(cluster.isConverged('n1', 'n2', 'n3')).toBe(true)
  expect(cluster.get('n3', 'k')).toBe('v')
}, 30_000)
