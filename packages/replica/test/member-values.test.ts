import { describe, expect, it } from 'vitest'
import type { MembershipEvent } from '../src/index.ts'
import { SmallCluster } from './small-cluster.ts'

const ALL = ['n1', 'n2', 'n3']

/** What a node knows of what another tells, as `name=value`. */
function known(cluster: SmallCluster, by: string, of: string): string[] {
  const id =
    cluster
      .node(by)
      .members()
      .find(({ name }) => name === of)?.replica ?? ''
  return cluster
    .node(by)
    .memberValues(id)
    .map(({ name, value }) => `${name}=${Buffer.from(value).toString()}`)
}

function tell(cluster: SmallCluster, name: string, key: string, value: string): boolean {
  return cluster.node(name).setMemberValue(key, Buffer.from(value), 'text/plain')
}

describe('what a member tells of itself', () => {
  it('reaches all at once, and the later word holds', async () => {
    const cluster = await SmallCluster.of(3)
    expect(tell(cluster, 'n1', 'role', 'cache')).toBe(true)
    expect(tell(cluster, 'n1', 'role', 'store')).toBe(true)
    expect(tell(cluster, 'n2', 'load', '7')).toBe(true)
    const ms = await cluster.until(() =>
      ALL.every((name) => known(cluster, name, 'n1').length > 0 && known(cluster, name, 'n2').length > 0),
    )
    expect(ms).toBeLessThanOrEqual(100)
    for (const name of ALL) {
      expect(known(cluster, name, 'n1')).toEqual(['role=store'])
      expect(known(cluster, name, 'n2')).toEqual(['load=7'])
    }
  })

  it('comes to whoever was away or cut off, and back to its owner after a restart', async () => {
    const cluster = await SmallCluster.of(3)
    cluster.crash('n3')
    tell(cluster, 'n1', 'role', 'store')
    await cluster.time.advance(1_000)
    await cluster.start('n3')
    await cluster.until(() => known(cluster, 'n3', 'n1').length === 1, 60_000)
    cluster.crash('n1')
    await cluster.time.advance(1_000)
    await cluster.start('n1')
    expect(known(cluster, 'n1', 'n1')).toEqual([])
    await cluster.until(() => known(cluster, 'n1', 'n1').length === 1, 60_000)
    tell(cluster, 'n1', 'role', 'new')
    await cluster.until(() => ALL.every((name) => known(cluster, name, 'n1').join() === 'role=new'))
  })

  it('says nothing to anybody where nobody tells anything', async () => {
    const cluster = await SmallCluster.of(3)
    await cluster.time.advance(60_000)
    expect(cluster.asked.filter(({ name }) => name === 'member-values')).toEqual([])
  })

  it('costs one short question now and then when all know the same', async () => {
    const cluster = await SmallCluster.of(3)
    tell(cluster, 'n1', 'role', 'store')
    await cluster.time.advance(5_000)
    cluster.asked.length = 0
    await cluster.time.advance(60_000)
    const asked = cluster.asked.filter(({ name }) => name === 'member-values').length
    expect(asked).toBeGreaterThan(20)
    expect(asked).toBeLessThan(50)
  })
})

describe('membership events', () => {
  it('tell of joins, departures, deaths, returns, evictions and changed values', async () => {
    const cluster = await SmallCluster.of(3)
    const events: MembershipEvent[] = []
    const stop = cluster.node('n1').onMembership((event) => events.push(event))
    const told = (): string[] =>
      events.map(({ kind, member, value }) => `${kind} ${member.name} ${value?.name ?? ''}`.trim())
    tell(cluster, 'n2', 'role', 'x')
    await cluster.until(() => told().includes('change n2 role'))
    await cluster.start('n4')
    await cluster.until(() => told().includes('join n4'))
    cluster.crash('n3')
    await cluster.until(() => told().includes('dead n3'))
    expect(told()).toContain('suspect n3')
    await cluster.start('n3')
    await cluster.until(() => told().includes('alive n3'))
    await cluster.finish(cluster.node('n4').stop())
    await cluster.until(() => told().includes('leave n4'))
    events.length = 0
    await cluster.finish(cluster.node('n1').evict(cluster.idOf('n2')))
    await cluster.until(() => told().includes('leave n2'))
    expect(events.find(({ member }) => member.name === 'n2')?.member.state).toBe('evicted')
    stop()
    events.length = 0
    tell(cluster, 'n3', 'role', 'x')
    await cluster.time.advance(1_000)
    expect(events).toEqual([])
  })
})
