import { describe, expect, it } from 'vitest'
import { judge, type Identity, type QuestionHeader } from '../../src/index.ts'

const [CLUSTER, OTHER_CLUSTER] = ['c'.repeat(32), 'd'.repeat(32)] as [string, string]
const [SELF, MEMBER, EVICTED, STRANGER] = ['1', '2', '3', '4'].map((digit) => digit.repeat(16)) as [
  string,
  string,
  string,
  string,
]
const roster = { known: [SELF, MEMBER, EVICTED], evicted: [EVICTED] }
const identity: Identity = { cluster: CLUSTER, replica: SELF, name: 'n', stage: 'member', sponsor: '', incarnation: 1 }

function verdict(header: Partial<QuestionHeader>, by: Identity | undefined = identity): string | undefined {
  return judge({ cluster: CLUSTER, from: MEMBER, to: SELF, name: 'publish', ...header }, by, roster)
}

describe('a question', () => {
  it('is answered to members', () => {
    expect(verdict({})).toBeUndefined()
    expect(verdict({ from: STRANGER })).toBe('not-introduced')
    expect(verdict({ from: '' })).toBe('not-introduced')
    expect(verdict({ from: EVICTED })).toBe('evicted')
  })

  it('is meant for this replica of this cluster', () => {
    expect(verdict({ cluster: OTHER_CLUSTER })).toBe('wrong-cluster')
    expect(verdict({ to: MEMBER })).toBe('wrong-replica')
    expect(verdict({ to: '' })).toBe('wrong-replica')
    expect(judge({ cluster: CLUSTER, from: MEMBER, to: SELF, name: 'publish' }, undefined, roster)).toBe('not-founded')
  })

  it.each(['hello', 'join'] as const)('%s is answered to anybody who does not know who lives here', (name) => {
    const asked = { cluster: '', from: '', to: '', name } as const
    expect(judge(asked, identity, roster)).toBeUndefined()
    expect(judge(asked, undefined, roster)).toBeUndefined()
    expect(verdict({ name, from: STRANGER })).toBeUndefined()
    expect(verdict({ name, from: EVICTED })).toBe('evicted')
    expect(verdict({ name, cluster: OTHER_CLUSTER })).toBe('wrong-cluster')
  })

  // Found by the simulator (seed 100598): a process that was nobody yet took it for its own.
  it('of a stranger who was a member once is for the replica that it names, and for no other', () => {
    const asked = { cluster: CLUSTER, from: STRANGER, to: SELF, name: 'forgotten' } as const
    expect(judge(asked, identity, roster)).toBeUndefined()
    expect(judge(asked, undefined, roster)).toBe('not-founded')
    expect(judge({ ...asked, to: '' }, identity, roster)).toBe('wrong-replica')
    expect(judge({ ...asked, to: MEMBER }, identity, roster)).toBe('wrong-replica')
    expect(judge({ ...asked, cluster: '' }, identity, roster)).toBe('wrong-cluster')
    expect(judge({ ...asked, from: EVICTED }, identity, roster)).toBe('evicted')
  })

  it('of data is answered by a joiner only once it is bootstrapped', () => {
    const joiner = { ...identity, stage: 'joining' } as const
    expect(verdict({ name: 'publish' }, joiner)).toBeUndefined()
    expect(verdict({ name: 'missed-entries' }, joiner)).toBe('not-bootstrapped')
  })
})
