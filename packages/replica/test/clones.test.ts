import { FatalError } from '../src/index.ts'
import { describe, expect, it } from 'vitest'
import { SmallCluster } from './small-cluster.ts'

const CLONED = 'cloned: another process goes by the id of this node at '

function isCloned(cluster: SmallCluster, name: string): boolean {
  return cluster.node(name).status().reason?.startsWith(CLONED) === true
}

/** Three nodes with a little data, and a copy of the disk of the third. */
async function withCopy(): Promise<SmallCluster> {
  const cluster = await SmallCluster.of(3)
  await cluster.put('n1', 'k', 'v', 'all')
  await cluster.copyDisk('n3', 'copy')
  return cluster
}

describe('a copied data directory', () => {
  it.each([
    ['at the same time', 0],
    ['one long after the other', 60_000],
  ])('makes both refuse writes and say so, started %s', async (_when, delayMs) => {
    const cluster = await withCopy()
    await cluster.start('n3')
    await cluster.time.advance(delayMs)
    await cluster.start('copy', { as: 'n3' })
    await cluster.until(() => isCloned(cluster, 'n3') && isCloned(cluster, 'copy'), 30_000)
    expect(cluster.node('n3').status()).toMatchObject({ ready: false, reason: expect.stringContaining('copy:7701') })
    expect(cluster.node('copy').status()).toMatchObject({ ready: false, reason: expect.stringContaining('--rebuild') })
    expect(cluster.errors).toEqual(expect.arrayContaining(['n3: cloned', 'copy: cloned']))
    for (const twin of ['n3', 'copy']) {
      await expect(cluster.put(twin, 'x', 'v')).rejects.toMatchObject({ code: 'cloned', outcome: 'not-applied' })
      expect(cluster.get(twin, 'k')).toBe('v')
    }
    // The others go on.
    expect(cluster.node('n1').status().ready).toBe(true)
    await cluster.put('n1', 'k', 'w')
  })

  it('cannot take the place of a node that lives, also when that was not heard of for a while', async () => {
    const cluster = await withCopy()
    await cluster.start('n3')
    await cluster.until(() => cluster.node('n3').status().ready)
    const former = cluster.idOf('n3')
    await cluster.wipe('copy')
    await cluster.start('copy', { as: 'n3', former: [former] })
    await cluster.until(
      () => cluster.node('copy').status().reason?.includes('lives in another process') === true,
      30_000,
    )
    await cluster.time.advance(30_000)
    expect(cluster.node('n3').status()).toMatchObject({ ready: true, identity: { replica: former } })

    // Once the other one is gone, it does.
    cluster.crash('n3')
    await cluster.until(() => cluster.node('copy').status().ready, 60_000)
    expect(cluster.get('copy', 'k')).toBe('v')
  })

  it('holds the frontier until only one of the two is left', async () => {
    const cluster = await withCopy()
    await cluster.start('n3')
    await cluster.start('copy', { as: 'n3' })
    await cluster.until(() => isCloned(cluster, 'n3') && isCloned(cluster, 'copy'), 30_000)
    const tombstones = (): number => cluster.node('n1').status().report.totals.tombstones
    await cluster.put('n1', 'k', undefined)
    await cluster.time.advance(60_000)
    expect(tombstones()).toBe(1)

    cluster.crash('copy')
    cluster.crash('n3')
    await cluster.start('n3')
    await cluster.until(() => cluster.node('n3').status().ready && tombstones() === 0, 120_000)
    await cluster.put('n3', 'x', 'v', 'all')
  })

  it('is not suspected in a node that restarts, wherever, however often', async () => {
    const cluster = await SmallCluster.of(3)
    await cluster.put('n1', 'k', 'v', 'all')
    const names = ['n3', 'moved', 'again', 'n1']
    for (let move = 0; move + 2 < names.length; move++) {
      const [from = '', to = ''] = names.slice(move)
      for (let restart = 0; restart < 3; restart++) {
        cluster.crash(from)
        await cluster.time.advance(restart * 700)
        await cluster.start(from, { as: 'n3' })
        await cluster.time.advance(restart * 900)
      }
      // The disk moves to another machine, at another address.
      await cluster.copyDisk(from, to)
      await cluster.start(to, { as: 'n3' })
      await cluster.until(() => cluster.node(to).status().ready)
      await cluster.put(to, 'k', to, 'all')
    }
    await cluster.time.advance(60_000)
    expect(cluster.errors).toEqual([])
    expect(cluster.node('again').status().ready).toBe(true)
    expect(cluster.node('n1').members()).toMatchObject([{}, {}, { name: 'n3', address: 'again:7701', state: 'alive' }])
  })

  it('is not suspected in a node that is on its way out, whose directory the next run has open already', async () => {
    const cluster = await SmallCluster.of(2)
    const leaving = cluster.node('n2')
    const { cluster: id, replica } = leaving.identity
    const header = { cluster: id, from: replica, to: replica, name: 'time' } as const
    const ask = () => cluster.finish(leaving.answer(header, 'time', { run: 'f'.repeat(16), address: 'elsewhere:1' }))
    expect(await ask()).toMatchObject({ run: expect.stringMatching(/^[0-9a-f]{16}$/) })
    await cluster.finish(leaving.stop())
    await expect(ask()).rejects.toMatchObject({ code: 'busy' })
  })

  it('is not started under another name', async () => {
    const cluster = await withCopy()
    await cluster.start('copy', { as: 'n4' })
    await cluster.until(() => cluster.fatal('copy').length > 0)
    const [error] = cluster.fatal('copy')
    expect(error).toBeInstanceOf(FatalError)
    expect(error).toMatchObject({ code: 'wrong_name', message: expect.stringMatching(/\bn3\b.*\bn4\b/s) })
  })
})
