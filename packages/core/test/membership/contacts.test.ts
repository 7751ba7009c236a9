import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Contacts, PHI_MAX, PhiAccrual, type MemberState, type MemberUpdate } from '../../src/index.ts'

describe('φ', () => {
  it('only grows while a peer is silent, and has a limit', () => {
    const law = fc.property(fc.array(fc.integer({ min: 1, max: 5_000 })), (intervals) => {
      const accrual = new PhiAccrual()
      let nowMs = 0
      for (const interval of intervals) accrual.contact((nowMs += interval))
      const silence = [0, 100, 1_000, 5_000, 60_000, 10 ** 9].map((ms) => accrual.phi(nowMs + ms))
      expect(silence).toEqual(silence.toSorted((a, b) => a - b))
      expect(Math.max(...silence)).toBeLessThanOrEqual(PHI_MAX)
      expect(Math.min(...silence)).toBeGreaterThanOrEqual(0)
    })
    fc.assert(law)
  })

  it('knows the habit of a peer: the same silence is odd for one and usual for another', () => {
    const [busy, lazy] = [new PhiAccrual(), new PhiAccrual()]
    for (let second = 0; second < 100; second += 1) {
      busy.contact(second * 1_000)
      if (second % 10 === 9) lazy.contact(second * 1_000)
    }
    expect(busy.phi(99_000 + 5_000)).toBeGreaterThan(8)
    expect(lazy.phi(99_000 + 5_000)).toBeLessThan(1)
  })

  it('is not fooled by bursts', () => {
    const accrual = new PhiAccrual()
    for (let second = 0; second < 20; second += 1) {
      for (let message = 0; message < 10; message += 1) accrual.contact(second * 1_000 + message)
    }
    expect(accrual.phi(20_000)).toBeLessThan(1)
  })
})

describe('the rank of peers', () => {
  it('puts the failed last, before them suspects, before them the quiet, and the near first', () => {
    const contacts = new Contacts()
    const near = member('near')
    const far = member('far')
    const quiet = member('quiet')
    const suspect = member('suspect', 'suspect')
    const failed = member('failed')
    for (let second = 0; second <= 60; second += 1) {
      for (const { replica } of [far, near, suspect, failed]) {
        contacts.succeeded(replica, second * 1_000, replica === 'far' ? 80 : 1)
      }
      if (second < 30) contacts.succeeded(quiet.replica, second * 1_000, 0.1)
    }
    contacts.failed('failed')
    contacts.heard('failed', 60_000)
    expect(contacts.rank([failed, suspect, quiet, far, near], 60_000)).toEqual([near, far, quiet, suspect, failed])

    contacts.succeeded('failed', 60_500, 1)
    expect(contacts.rank([far, failed], 60_500)).toEqual([failed, far])
  })

  it('knows nothing of a peer that it forgot', () => {
    const contacts = new Contacts()
    contacts.succeeded('a', 0, 7)
    expect(contacts.rttMs('a')).toBe(7)
    contacts.forget('a')
    expect(contacts.rttMs('a')).toBeUndefined()
    expect(contacts.phi('a', 10 ** 6)).toBe(0)
  })
})

function member(replica: string, state: MemberState = 'alive'): MemberUpdate {
  return { replica, name: '', address: '', clientUrl: '', zone: '', version: '', state, incarnation: 1 }
}
