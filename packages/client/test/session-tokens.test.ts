import { parseSessionHeader } from '@grapevine/contract'
import { array, assert as assertProperty, nat, property } from 'fast-check'
import { expect, it } from 'vitest'
import { SessionTokens } from '../src/session-tokens.ts'

/** A token as a node might make it, plain to see: the numbers of all writes that were seen. */
function tokenOf(writes: Iterable<number>): string {
  return [...new Set(writes)].toSorted((a, b) => a - b).join('.')
}

function seenIn(tokens: Iterable<string>): Set<number> {
  return new Set([...tokens].flatMap((token) => token.split('.').map(Number)))
}

it('never forgets what any answer told, however answers overtake each other, and holds no more than were under way', () => {
  // Each number begins a request, or ends the one that it points at.
  const law = property(array(nat(20), { maxLength: 60 }), (steps) => {
    const session = new SessionTokens()
    const underWay: ReadonlySet<string>[] = []
    const told = new Set<number>()
    let writes = 0
    let mostUnderWay = 1
    for (const step of steps) {
      const sent = underWay[step]
      if (sent === undefined) {
        underWay.push(session.all)
        mostUnderWay = Math.max(mostUnderWay, underWay.length)
        continue
      }
      underWay.splice(step, 1)
      // A node joins what was sent and adds what it did.
      const seen = seenIn(sent).add(++writes)
      session.learn(sent, tokenOf(seen))
      for (const write of seen) told.add(write)
      const held = seenIn(session.all)
      for (const write of told) expect(held.has(write)).toBe(true)
      expect(session.all.size).toBeLessThanOrEqual(mostUnderWay)
    }
    const last = session.all
    session.learn(last, tokenOf(seenIn(last).add(++writes)))
    expect(session.all.size).toBe(1)
  })
  assertProperty(law)
})

it('goes on from its own text', () => {
  const session = new SessionTokens('a,b')
  expect(parseSessionHeader(session.text ?? '')).toEqual(['a', 'b'])
  expect(new SessionTokens(session.text).all).toEqual(session.all)
})
