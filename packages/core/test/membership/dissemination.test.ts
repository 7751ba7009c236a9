import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Dissemination, transmissionsMax, type MemberUpdate } from '../../src/index.ts'

describe('dissemination', () => {
  it('tells everything as often as it should, and then falls silent', () => {
    const law = fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 2, max: 256 }),
      (updates, perMessage, members) => {
        const news = new Dissemination()
        for (let index = 0; index < updates; index += 1) news.offer(update(index))
        const ids = Array.from({ length: updates }, (_, index) => update(index).replica)
        const told = new Map<string, number>()
        while (!news.isEmpty) {
          const message = news.take(perMessage, members)
          expect(message.length).toBeLessThanOrEqual(perMessage)
          for (const { replica } of message) told.set(replica, (told.get(replica) ?? 0) + 1)
          const counts = ids.map((replica) => told.get(replica) ?? 0)
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
        }
        expect([...told.values()]).toEqual(Array.from({ length: updates }, () => transmissionsMax(members)))
      },
    )
    fc.assert(law)
  })

  it('keeps only the newest of each member, and tells it anew', () => {
    const news = new Dissemination()
    news.offer(update(1))
    news.take(1, 2)
    news.offer({ ...update(1), incarnation: 2 })
    expect(news.take(9, 2)).toEqual([{ ...update(1), incarnation: 2 }])
  })

  it('always has room for what must be said, and says it once', () => {
    const news = new Dissemination()
    for (let index = 0; index < 10; index += 1) news.offer(update(index))
    const accusation = update(7)
    expect(news.take(3, 2, [accusation]).map(({ name }) => name)).toEqual(['7', '0', '1'])
    expect(news.take(1, 2, [accusation])).toEqual([accusation])
    expect(news.take(0, 2, [update(99)])).toEqual([update(99)])
  })

  it('drops news of the evicted', () => {
    const news = new Dissemination()
    news.offer(update(1))
    news.drop(update(1).replica)
    expect(news.isEmpty).toBe(true)
  })
})

function update(index: number): MemberUpdate {
  return {
    replica: index.toString(16).padStart(16, '0'),
    name: `${index}`,
    address: '',
    clientUrl: '',
    zone: '',
    version: '',
    state: 'alive',
    incarnation: 1,
  }
}
