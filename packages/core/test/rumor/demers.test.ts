import { describe, expect, it } from 'vitest'
import { afterContact, ignited, type DemersOptions, type RumorHeat } from '../../src/index.ts'
import { seededRandom } from './seeded-random.ts'

const SITES = 1_000

describe('the tables of Demers et al. 1987, 1000 sites', () => {
  it.each([
    { k: 1, residue: 0.18, traffic: 1.7 },
    { k: 2, residue: 0.037, traffic: 3.3 },
    { k: 3, residue: 0.011, traffic: 4.5 },
  ])('push, feedback, counter, k = $k: residue $residue, traffic $traffic', ({ k, residue, traffic }) => {
    const mean = meanOf(60, { exchange: 'push', loss: 'feedback', counting: 'counter', k })
    expect(within(mean.residue, residue, 0.35), `residue ${mean.residue}`).toBe(true)
    expect(within(mean.traffic, traffic, 0.1), `traffic ${mean.traffic}`).toBe(true)
  })

  it.each([
    { k: 1, residue: 0.96, tolerance: 0.02 },
    { k: 2, residue: 0.2, tolerance: 0.35 },
  ])('push, blind, coin, k = $k: residue $residue', ({ k, residue, tolerance }) => {
    const mean = meanOf(60, { exchange: 'push', loss: 'blind', counting: 'coin', k })
    expect(within(mean.residue, residue, tolerance), `residue ${mean.residue}`).toBe(true)
  })

  it.each([
    { k: 1, residue: 3.1e-2 },
    { k: 2, residue: 5.8e-4 },
    { k: 3, residue: 4e-6 },
  ])('pull, feedback, counter, k = $k: residue of the order of $residue', ({ k, residue }) => {
    const mean = meanOf(100, { exchange: 'pull', loss: 'feedback', counting: 'counter', k })
    // In 100 runs one site that was not reached is 1e-5.
    expect(mean.residue, `residue ${mean.residue}`).toBeLessThan(Math.max(3 * residue, 5e-5))
    expect(mean.residue, `residue ${mean.residue}`).toBeGreaterThan(residue < 1e-4 ? -1 : residue / 3)
  })
})

describe('the heat of a rumor', () => {
  const never = { next: () => 0.999, hex: () => '' }

  it('is lost after k contacts in a row that were no use, with feedback and counter', () => {
    const options: DemersOptions = { exchange: 'push', loss: 'feedback', counting: 'counter', k: 2 }
    const once = afterContact(ignited(), false, options, never)
    expect(once).not.toBe('cold')
    expect(afterContact(once as RumorHeat, false, options, never)).toBe('cold')
    expect(afterContact(once as RumorHeat, true, options, never)).toEqual(ignited())
  })

  it('is lost after k contacts of whatever use, when blind with counter', () => {
    const options: DemersOptions = { exchange: 'push', loss: 'blind', counting: 'counter', k: 2 }
    const once = afterContact(ignited(), true, options, never)
    expect(once).not.toBe('cold')
    expect(afterContact(once as RumorHeat, true, options, never)).toBe('cold')
  })

  it('is kept by a contact of use, with feedback and coin', () => {
    const options: DemersOptions = { exchange: 'push', loss: 'feedback', counting: 'coin', k: 1 }
    expect(afterContact(ignited(), true, options, never)).toEqual(ignited())
    expect(afterContact(ignited(), false, options, never)).toBe('cold')
  })
})

interface Outcome {
  /** The share of sites that never heard. */
  readonly residue: number
  /** Messages that carried the rumor, per site. */
  readonly traffic: number
}

function meanOf(runs: number, options: DemersOptions): Outcome {
  let residue = 0
  let traffic = 0
  for (let seed = 1; seed <= runs; seed++) {
    const outcome = spread(options, seed)
    residue += outcome.residue / runs
    traffic += outcome.traffic / runs
  }
  return { residue, traffic }
}

/** One rumor from one site until nobody holds it hot: in cycles, each judged by the state at its start. */
function spread(options: DemersOptions, seed: number): Outcome {
  const random = seededRandom(seed)
  const heard = new Uint8Array(SITES)
  const heats = new Map<number, RumorHeat>([[0, ignited()]])
  heard[0] = 1
  let messages = 0
  while (heats.size > 0) {
    const contacts = contactsOf(options.exchange, heats)
    const reached: number[] = []
    for (const [site, receivers] of contacts) {
      messages += receivers.length
      const news = receivers.filter((receiver) => heard[receiver] === 0)
      reached.push(...news)
      const heat = afterContact(heats.get(site) ?? ignited(), news.length > 0, options, random)
      if (heat === 'cold') heats.delete(site)
      else heats.set(site, heat)
    }
    for (const site of reached) {
      heard[site] = 1
      heats.set(site, ignited())
    }
  }
  return { residue: heard.filter((has) => has === 0).length / SITES, traffic: messages / SITES }

  /** Whom each hot site gives the rumor to in this cycle. */
  function contactsOf(exchange: DemersOptions['exchange'], hot: ReadonlyMap<number, RumorHeat>): Map<number, number[]> {
    const contacts = new Map<number, number[]>()
    if (exchange !== 'pull') for (const site of hot.keys()) contacts.set(site, [other(site)])
    if (exchange === 'push') return contacts
    for (let site = 0; site < SITES; site++) {
      const source = other(site)
      if (hot.has(source)) contacts.set(source, [...(contacts.get(source) ?? []), site])
    }
    return contacts
  }

  function other(site: number): number {
    const drawn = Math.floor(random.next() * (SITES - 1))
    return drawn < site ? drawn : drawn + 1
  }
}

function within(actual: number, expected: number, tolerance: number): boolean {
  return Math.abs(actual - expected) <= expected * tolerance
}
