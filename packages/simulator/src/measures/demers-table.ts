import { afterContact, ignited, type DemersOptions, type RumorHeat } from '@grapevine/core'
import { diceOf, type Dice } from './dice.ts'

/** One row of the tables of Demers et al. 1987, §1.4. */
export interface DemersRow {
  /** The share of sites that never heard. */
  readonly residue: number
  /** Messages that carried the rumor, per site. */
  readonly traffic: number
  /** Cycles until a site heard, on average over those that did. */
  readonly averageDelay: number
  /** Cycles until the last of them heard. */
  readonly lastDelay: number
}

/**
 * One rumor among `sites`, until nobody holds it hot. In each cycle every site contacts one other at random, and all
 * contacts see the state at its start. What cools a rumor is decided by the product's own {@link afterContact}.
 */
export function spreadRumor(sites: number, options: DemersOptions, seed: number): DemersRow {
  const dice = diceOf(seed, 'demers')
  const heats: (RumorHeat | undefined)[] = Array.from({ length: sites }, () => undefined)
  const heardIn = new Int32Array(sites).fill(-1)
  const contacts = new Contacts(sites, options.exchange, dice)
  let hot = [0]
  heats[0] = ignited()
  heardIn[0] = 0
  let messages = 0

  for (let cycle = 1; hot.length > 0; cycle++) {
    contacts.draw(hot, heats)
    messages += contacts.count
    for (let index = 0; index < contacts.count; index++)
      if (heardIn[contacts.to(index)] === -1) contacts.wasUseful[contacts.from(index)] = 1
    const stillHot: number[] = []
    for (const site of hot) {
      if (contacts.gave[site] === 0) {
        stillHot.push(site)
        continue
      }
      const heat = afterContact(heats[site] ?? ignited(), contacts.wasUseful[site] === 1, options, dice)
      heats[site] = heat === 'cold' ? undefined : heat
      if (heat !== 'cold') stillHot.push(site)
    }
    for (let index = 0; index < contacts.count; index++) {
      const site = contacts.to(index)
      if (heardIn[site] !== -1) continue
      heardIn[site] = cycle
      heats[site] = ignited()
      stillHot.push(site)
    }
    hot = stillHot
  }
  return rowOf(heardIn, messages)
}

function rowOf(heardIn: Int32Array, messages: number): DemersRow {
  let heard = 0
  let delays = 0
  let lastDelay = 0
  for (const cycle of heardIn) {
    if (cycle === -1) continue
    heard++
    delays += cycle
    lastDelay = Math.max(lastDelay, cycle)
  }
  return {
    residue: 1 - heard / heardIn.length,
    traffic: messages / heardIn.length,
    averageDelay: delays / heard,
    lastDelay,
  }
}

/** Who gives the rumor to whom in one cycle. */
class Contacts {
  /** By site: whether it gave the rumor to anybody in this cycle, and to anybody who lacked it. */
  readonly gave: Uint8Array
  readonly wasUseful: Uint8Array
  count = 0
  readonly #sites: number
  readonly #exchange: DemersOptions['exchange']
  readonly #dice: Dice
  readonly #from: Int32Array
  readonly #to: Int32Array

  constructor(sites: number, exchange: DemersOptions['exchange'], dice: Dice) {
    this.#sites = sites
    this.#exchange = exchange
    this.#dice = dice
    this.gave = new Uint8Array(sites)
    this.wasUseful = new Uint8Array(sites)
    // Each site calls one other, and may give and take in that call.
    this.#from = new Int32Array(2 * sites)
    this.#to = new Int32Array(2 * sites)
  }

  from(index: number): number {
    return this.#from[index] ?? 0
  }

  to(index: number): number {
    return this.#to[index] ?? 0
  }

  draw(hot: readonly number[], heats: readonly (RumorHeat | undefined)[]): void {
    this.count = 0
    this.gave.fill(0)
    this.wasUseful.fill(0)
    if (this.#exchange === 'push') {
      for (const site of hot) this.#add(site, this.#other(site))
      return
    }
    for (let site = 0; site < this.#sites; site++) {
      const other = this.#other(site)
      if (heats[other] !== undefined) this.#add(other, site)
      if (this.#exchange === 'push-pull' && heats[site] !== undefined) this.#add(site, other)
    }
  }

  #add(from: number, to: number): void {
    this.#from[this.count] = from
    this.#to[this.count] = to
    this.count++
    this.gave[from] = 1
  }

  #other(site: number): number {
    const drawn = this.#dice.below(this.#sites - 1)
    return drawn < site ? drawn : drawn + 1
  }
}
