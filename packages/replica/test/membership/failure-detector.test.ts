import type { MemberUpdate } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { World, seeds, type CrashKind, type Node } from './mini-world.ts'

const CRASH_KINDS: readonly CrashKind[] = ['refused', 'silent']

describe('a crash', () => {
  const sizes = [2, 3, 4, 5, 6, 7, 8, 9, 10]
  it.each(CRASH_KINDS.flatMap((kind) => sizes.map((size) => ({ kind, size }))))(
    'is seen by all within 10 s: $kind, $size nodes (P10)',
    async ({ kind, size }) => {
      for (const seed of seeds(30)) {
        const world = await settledWorld(size, seed)
        const victim = world.node(0)
        victim.crash(kind)
        const tookMs = await world.time.advanceUntil(() => world.allSee(victim, 'dead'), 15_000)
        expect(tookMs, `seed ${seed}`).toBeLessThanOrEqual(10_000)
        expect(deadOthersThan(world, victim), `seed ${seed}`).toEqual([])
      }
    },
    60_000,
  )

  it('of two at once is seen all the same', async () => {
    const world = await settledWorld(5, 1)
    world.node(0).crash('silent')
    world.node(1).crash('refused')
    await world.time.advance(10_000)
    expect(world.allSee(world.node(0), 'dead') && world.allSee(world.node(1), 'dead')).toBe(true)
  })

  it('costs routing one failed contact (F20)', async () => {
    const world = await settledWorld(5, 1)
    const { detector } = world.node(1)
    const victim = world.node(0)
    victim.crash('silent')
    detector.contactFailed(victim.replica)
    expect(detector.livePeers().at(-1)?.replica).toBe(victim.replica)
    await world.time.advance(10_000)
    expect(detector.livePeers().map(({ replica }) => replica)).not.toContain(victim.replica)
  })

  it('is forgiven when the node restarts', async () => {
    const world = await settledWorld(3, 1)
    const victim = world.node(0)
    victim.crash('refused')
    await world.time.advance(10_000)
    world.boot(victim)
    await world.time.advance(2_000)
    expect(world.allAlive()).toBe(true)
  })
})

describe('a pause', () => {
  it.each([2, 3, 5, 10])(
    'of 5 s makes nobody be declared dead in 99 % of runs: %i nodes (P10)',
    async (size) => {
      let runsWithDead = 0
      for (const seed of seeds(200)) {
        const world = await settledWorld(size, seed)
        await pauseFor(5_000, world.node(0), world)
        await world.time.advance(7_000)
        if (world.verdicts('dead').length > 0) runsWithDead += 1
        expect(world.allAlive(), `seed ${seed}`).toBe(true)
      }
      expect(runsWithDead).toBeLessThanOrEqual(2)
    },
    120_000,
  )

  it('is denied within a second of waking', async () => {
    for (const seed of seeds(50)) {
      const world = await settledWorld(5, seed)
      const paused = world.node(0)
      await pauseFor(5_000, paused, world)
      expect(world.statesOf(paused), `seed ${seed}`).toContain('suspect')
      await world.time.advance(1_000)
      expect(world.statesOf(paused), `seed ${seed}`).toEqual(['alive', 'alive', 'alive', 'alive'])
    }
  })

  it.each([3, 8, 30])('of %i s accuses nobody else, there or here (F21)', async (seconds) => {
    for (const seed of seeds(50)) {
      const world = await settledWorld(5, seed)
      const paused = world.node(0)
      await pauseFor(seconds * 1_000, paused, world)
      await world.time.advance(15_000)
      const others = [...world.verdicts('suspect'), ...world.verdicts('dead')].filter(({ of }) => of !== paused.replica)
      expect(others, `seed ${seed}`).toEqual([])
      expect(world.allAlive(), `seed ${seed}`).toBe(true)
    }
  })

  it('of everybody at once accuses nobody', async () => {
    for (const seed of seeds(20)) {
      const world = await settledWorld(4, seed)
      for (const node of world.nodes) node.pause()
      await world.time.advance(20_000)
      for (const node of world.nodes) node.resume()
      await world.time.advance(10_000)
      expect(world.verdicts('dead'), `seed ${seed}`).toEqual([])
      expect(world.allAlive(), `seed ${seed}`).toBe(true)
    }
  })

  it('does not end a suspicion in the sleep of who holds it', async () => {
    const world = await settledWorld(2, 1)
    const [holder, suspect] = [world.node(0), world.node(1)]
    suspect.pause()
    await world.time.advanceUntil(() => holder.detector.member(suspect.replica)?.state === 'suspect', 5_000)
    holder.pause()
    await world.time.advance(30_000)
    suspect.resume()
    holder.resume()
    await world.time.advance(5_000)
    expect(world.verdicts('dead')).toEqual([])
    expect(world.allAlive()).toBe(true)
  })

  it('again and again lowers the health of the node, and gets nobody else declared dead', async () => {
    const world = await settledWorld(5, 1)
    const slow = world.node(0)
    for (let round = 0; round < 30; round += 1) {
      await pauseFor(800, slow, world)
      await world.time.advance(200)
    }
    expect(slow.detector.localHealth).toBeGreaterThan(0)
    expect(world.verdicts('dead')).toEqual([])
    await world.time.advance(30_000)
    expect(slow.detector.localHealth).toBe(0)
    expect(world.allAlive()).toBe(true)
  })
})

describe('a bad network', () => {
  it('cut one way between two leaves both unsuspected, since others reach them (F23)', async () => {
    for (const seed of seeds(20)) {
      const world = await settledWorld(4, seed)
      world.cut(world.node(0), world.node(1))
      await world.time.advance(60_000)
      expect(world.verdicts('suspect'), `seed ${seed}`).toEqual([])
      expect(world.node(0).detector.livePeers().at(-1)?.replica).toBe(world.node(1).replica)
    }
  })

  it('that loses every tenth message declares nobody dead', async () => {
    for (const seed of seeds(10)) {
      const world = await settledWorld(5, seed)
      world.loss = 0.1
      await world.time.advance(120_000)
      expect(world.verdicts('dead'), `seed ${seed}`).toEqual([])
    }
  })

  it('partitioned for a minute heals', async () => {
    for (const seed of seeds(10)) {
      const world = await settledWorld(5, seed)
      const [left, right] = [world.nodes.slice(0, 2), world.nodes.slice(2)]
      world.partition(left, right)
      await world.time.advance(60_000)
      expect(
        right.every((node) => world.statesOf(node).filter((state) => state === 'dead').length === 2),
        `seed ${seed}`,
      ).toBe(true)
      world.cuts.clear()
      await world.time.advanceUntil(() => world.allAlive(), 40_000)
    }
  })

  it('that splits two heals within seconds, since each has nobody else', async () => {
    const world = await settledWorld(2, 1)
    world.partition([world.node(0)], [world.node(1)])
    await world.time.advance(60_000)
    world.cuts.clear()
    expect(await world.time.advanceUntil(() => world.allAlive(), 10_000)).toBeLessThan(7_000)
  })
})

describe('restarts', () => {
  it('of all at once leave nobody stuck (F26)', async () => {
    for (const seed of seeds(20)) {
      const world = await settledWorld(6, seed)
      for (const node of world.nodes) node.crash('refused')
      await world.time.advance(3_000)
      for (const node of world.nodes) world.boot(node)
      await world.time.advance(3_000)
      expect(world.allAlive(), `seed ${seed}`).toBe(true)
    }
  })

  it.each([
    { life: 'a lower', incarnation: 1 },
    { life: 'a huge', incarnation: 2 ** 53 - 1 },
  ])('with $life incarnation outbid what is said (F26, F27)', async ({ incarnation }) => {
    const world = await settledWorld(4, 1)
    const victim = world.node(0)
    for (let round = 0; round < 3; round += 1) {
      victim.crash('refused')
      await world.time.advance(10_000)
      world.boot(victim, { incarnation })
      await world.time.advance(5_000)
      expect(world.allAlive()).toBe(true)
    }
  })

  it('at another address are found there', async () => {
    const world = await settledWorld(4, 1)
    const victim = world.node(0)
    victim.crash('refused')
    await world.time.advance(10_000)
    world.boot(victim, { address: 'elsewhere:7000' })
    await world.time.advance(3_000)
    expect(world.allAlive()).toBe(true)
    expect(world.node(2).detector.member(victim.replica)?.address).toBe('elsewhere:7000')
    expect(world.node(2).events.some(({ member }) => member.address === 'elsewhere:7000')).toBe(true)
  })

  it('while somebody else took the old address do not make it theirs (F28)', async () => {
    const world = await settledWorld(4, 1)
    const [moved, taker] = [world.node(0), world.node(1)]
    const { address } = moved.self
    moved.crash('refused')
    taker.crash('refused')
    world.boot(taker, { address })
    await world.time.advance(12_000)
    expect(world.allSee(moved, 'dead')).toBe(true)
    expect(world.allSee(taker, 'alive')).toBe(true)
  })
})

describe('a departure', () => {
  it('is known to all at once, and is no death', async () => {
    const world = await settledWorld(5, 1)
    const leaver = world.node(0)
    const left = leaver.detector.leave()
    await world.time.advance(500)
    await left
    leaver.crash('refused')
    expect(world.allSee(leaver, 'left')).toBe(true)
    await world.time.advance(60_000)
    expect(world.allSee(leaver, 'left')).toBe(true)
    expect(world.node(1).detector.countsByState()).toEqual({ alive: 4, suspect: 0, dead: 0, left: 1 })
    world.boot(leaver)
    await world.time.advance(2_000)
    expect(world.allAlive()).toBe(true)
  })

  it('waits for silent members no longer than half a second', async () => {
    const world = await settledWorld(3, 1)
    world.node(1).crash('silent')
    const left = world.node(0).detector.leave()
    await world.time.advance(500)
    await left
    expect(world.allSee(world.node(0), 'left')).toBe(true)
  })
})

describe('the roster', () => {
  const stranger: MemberUpdate = {
    replica: 'ffffffffffffffff',
    name: 'stranger',
    address: 'nowhere:7000',
    clientUrl: 'http://nowhere:8000',
    zone: '',
    version: '0.1.0',
    state: 'alive',
    incarnation: 1,
  }

  it('decides who is a member, the detector never does (R14)', async () => {
    const world = await settledWorld(3, 1)
    const { detector } = world.node(0)
    world.evicted.add(stranger.replica)
    detector.answerGossip(world.node(1).replica, { updates: [stranger] })
    expect(detector.member(stranger.replica)).toBeUndefined()
    expect(detector.answerProbe(stranger.replica, { updates: [] })).toEqual({ updates: [detector.self] })

    world.evicted.delete(stranger.replica)
    detector.rosterChanged()
    expect(detector.member(stranger.replica)).toEqual(stranger)

    world.evicted.add(stranger.replica)
    detector.rosterChanged()
    expect(detector.member(stranger.replica)).toBeUndefined()
  })
})

describe('in peace', () => {
  it('there is no gossip, only probes', async () => {
    const world = await settledWorld(5, 1)
    await world.time.advance(10_000)
    const before = world.asked.get('gossip')
    await world.time.advance(60_000)
    expect(world.asked.get('gossip')).toBe(before)
    expect(world.asked.has('indirect-probe')).toBe(false)
  })

  it('round trips are known, and nobody is suspected', async () => {
    const world = await settledWorld(10, 1)
    await world.time.advance(600_000)
    expect(world.verdicts('suspect')).toEqual([])
    const others = world
      .node(0)
      .detector.members()
      .filter(({ isSelf }) => !isSelf)
    for (const { rttMs } of others) expect(rttMs).toBeLessThan(20)
  })
})

describe('signs of life', () => {
  it('from a suspect are answered with the accusation, also when that is old news (buddy system)', async () => {
    const world = await settledWorld(2, 1)
    const [a, b] = [world.node(0), world.node(1)]
    b.pause()
    await world.time.advanceUntil(() => a.detector.member(b.replica)?.state === 'suspect', 5_000)
    await world.time.advance(3_000)
    const { updates } = a.detector.answerProbe(b.replica, { updates: [] })
    expect(updates).toEqual([{ ...b.detector.self, state: 'suspect' }])
  })

  it('from a dead member make us tell it, so that it denies', async () => {
    const world = await settledWorld(3, 1)
    const [a, b] = [world.node(0), world.node(1)]
    const dead: MemberUpdate = { ...b.self, ...b.detector.self, state: 'dead' }
    a.detector.answerGossip(world.node(2).replica, { updates: [dead] })
    expect(a.detector.member(b.replica)?.state).toBe('dead')
    a.detector.heardFrom(b.replica)
    await world.time.advance(500)
    expect(a.detector.member(b.replica)?.state).toBe('alive')
  })
})

async function settledWorld(size: number, seed: number): Promise<World> {
  const world = new World({ size, seed })
  await world.time.advance(3_000 + world.random.next() * 1_000)
  expect(world.allAlive()).toBe(true)
  return world
}

async function pauseFor(ms: number, node: Node, world: World): Promise<void> {
  node.pause()
  await world.time.advance(ms)
  node.resume()
}

function deadOthersThan(world: World, victim: Node): readonly unknown[] {
  return world.verdicts('dead').filter(({ of }) => of !== victim.replica)
}
