import { expect, it } from 'vitest'
import { SmallCluster } from './small-cluster.ts'

/** More than a start takes until it looks for the others. */
const TURNS_MAX = 400

it('says nothing more when it is stopped while it starts, at whatever moment', async () => {
  const cluster = await SmallCluster.of(2)
  for (let turns = 0; turns < TURNS_MAX; turns += 4) {
    await cluster.finish(cluster.node('n2').stop())
    await cluster.start('n2')
    for (let turn = 0; turn < turns; turn++) await Promise.resolve()
    await cluster.finish(cluster.node('n2').stop())
    cluster.asked.length = 0
    await cluster.time.advance(3_000)
    expect({ turns, asked: cluster.asked.filter(({ from }) => from === 'n2') }).toEqual({ turns, asked: [] })
  }
}, 30_000)
