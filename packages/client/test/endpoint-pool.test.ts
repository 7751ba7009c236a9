import type { NodeState } from '@grapevine/contract'
import { describe, expect, it } from 'vitest'
import { EndpointPool } from '../src/endpoint-pool.ts'

const none: ReadonlySet<string> = new Set()

function node(name: string, state: NodeState, rank: number) {
  return { name, nodeId: name, url: `http://${name}`, state, rank }
}

describe('EndpointPool', () => {
  it('begins in the order given, and goes through all of them once', () => {
    const pool = new EndpointPool(['http://a', 'http://b'])
    expect(pool.next(0, none)).toBe('http://a')
    expect(pool.next(0, new Set(['http://a']))).toBe('http://b')
    expect(pool.next(0, new Set(['http://a', 'http://b']))).toBeUndefined()
  })

  it('stays with whoever answered', () => {
    const pool = new EndpointPool(['http://a', 'http://b'])
    pool.succeeded('http://b')
    expect(pool.next(0, none)).toBe('http://b')
  })

  it('leaves a failed one alone for a while, longer each time, at most 30 s', () => {
    const pool = new EndpointPool(['http://a', 'http://b'])
    pool.failed('http://a', 0, 1)
    expect(pool.next(999, none)).toBe('http://b')
    expect(pool.next(999, new Set(['http://b']))).toBeUndefined()
    expect(pool.next(1_000, none)).toBe('http://a')
    let nowMs = 1_000
    for (let times = 0; times < 50; times++) pool.failed('http://a', (nowMs += 30_000), 1)
    expect(pool.next(nowMs + 29_999, none)).toBe('http://b')
    expect(pool.next(nowMs + 30_000, none)).toBe('http://a')
  })

  it('counts what ended many requests at once as one failure', () => {
    const pool = new EndpointPool(['http://a', 'http://b'])
    for (let times = 0; times < 8; times++) pool.failed('http://a', times, 1)
    expect(pool.next(1_000, none)).toBe('http://a')
  })

  it('asks those left alone when there is nobody else, the longest waiting first', () => {
    const pool = new EndpointPool(['http://a', 'http://b'])
    pool.failed('http://b', 0, 0)
    pool.failed('http://a', 100, 0)
    expect(pool.next(200, none)).toBe('http://b')
    expect(pool.next(200, new Set(['http://b']))).toBe('http://a')
  })

  it('prefers live nodes by rank, and forgets who is no longer listed', () => {
    const pool = new EndpointPool(['http://a'])
    pool.learn({
      epoch: 1,
      nodes: [node('a', 'dead', 0), node('b', 'suspect', 1), node('c', 'alive', 3), node('d', 'alive', 2)],
    })
    const order: string[] = []
    for (let url = pool.next(0, none); url !== undefined; url = pool.next(0, new Set(order))) order.push(url)
    expect(order).toEqual(['http://d', 'http://c', 'http://b', 'http://a'])
    pool.learn({ epoch: 2, nodes: [] })
    expect(pool.next(0, none)).toBe('http://a')
  })
})
