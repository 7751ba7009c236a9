import { expect, it } from 'vitest'
import { lostPredecessors } from '../src/predecessors.ts'
import { SmallCluster } from './small-cluster.ts'

it('are those of the same name that are not there, and what the node was itself', () => {
  const self = { replica: 'a', name: 'n1' }
  const members = [
    { ...self, state: 'alive' },
    { replica: 'b', name: 'n1', state: 'dead' },
    { replica: 'c', name: 'n1', state: 'suspect' },
    { replica: 'd', name: 'n2', state: 'dead' },
    { replica: 'e', name: 'n1', state: 'left' },
    { replica: 'f' },
    { replica: 'g', name: 'n1', state: 'alive' },
  ] as const
  expect(lostPredecessors(self, { former: [], rebuild: true }, members)).toEqual(['b', 'e'])
  expect(lostPredecessors(self, { former: ['b', 'f', 'g'], rebuild: false }, members)).toEqual(['b', 'f'])
})

it('are replaced by a node that was told to, although its sponsor did not know of them', async () => {
  const cluster = await SmallCluster.of(3)
  // n2 hears of nobody, and so not of n4.
  for (const link of ['n2>n1', 'n2>n3']) cluster.cut.add(link)
  await cluster.until(() => cluster.node('n1').livePeers().length === 1)
  cluster.cut.add('n4>n2')
  await cluster.start('n4')
  await cluster.until(() => cluster.node('n4').status().ready)
  const lost = cluster.idOf('n4')

  cluster.cut.delete('n4>n2')
  for (const link of ['n4>n1', 'n4>n3']) cluster.cut.add(link)
  await cluster.wipe('n4')
  await cluster.start('n4', { rebuild: true })
  await cluster.until(() => cluster.node('n4').status().ready)
  cluster.cut.clear()
  await cluster.until(() => ['n1', 'n2', 'n3', 'n4'].every((name) => cluster.node(name).wasEvicted(lost)))
  const members = cluster.node('n1').members()
  expect(members.map(({ name }) => name).toSorted()).toEqual(['n1', 'n2', 'n3', 'n4'])
})

// Found by the simulator (seed 100451).
it('are given up by a node that began anew, although its sponsor did not know of them', async () => {
  const cluster = await SmallCluster.of(3)
  // Only n1 hears of n4, and is gone before it tells anybody.
  for (const link of ['n1>n2', 'n1>n3', 'n4>n2', 'n4>n3']) cluster.cut.add(link)
  await cluster.until(() => cluster.node('n1').livePeers().length === 0)
  await cluster.start('n4')
  await cluster.until(() => cluster.idOf('n4') !== '')
  const lost = cluster.idOf('n4')
  cluster.crash('n1')

  cluster.cut.clear()
  await cluster.wipe('n4')
  await cluster.start('n4', { former: [lost] })
  await cluster.until(() => cluster.node('n4').status().ready)
  expect(cluster.node('n4').wasEvicted(lost)).toBe(false)
  await cluster.start('n1')
  await cluster.until(() => ['n1', 'n2', 'n3', 'n4'].every((name) => cluster.node(name).wasEvicted(lost)))
}, 30_000)
