import { expect, it } from 'vitest'
import { JoinTickets } from '../src/join-tickets.ts'
import { seededRandom } from './small-cluster.ts'
import { VirtualTime } from './virtual-time.ts'

it('is good once, for a minute, where it was issued', async () => {
  const time = new VirtualTime()
  const [tickets, others] = [1, 2].map((seed) => new JoinTickets({ clock: time, random: seededRandom(seed) })) as [
    JoinTickets,
    JoinTickets,
  ]
  const [first, second] = [tickets.issue(), tickets.issue()]
  expect(others.redeem(first)).toBe(false)
  expect([tickets.redeem(first), tickets.redeem(first)]).toEqual([true, false])
  await time.advance(60_001)
  expect(tickets.redeem(second)).toBe(false)
})

it('gives way to newer ones, so that whoever only says hello takes no memory', () => {
  const tickets = new JoinTickets({ clock: new VirtualTime(), random: seededRandom(1) })
  const issued = Array.from({ length: 2_000 }, () => tickets.issue())
  expect(issued.filter((ticket) => tickets.redeem(ticket))).toEqual(issued.slice(-1_024))
})
