import type { Random } from '../ports.ts'

/**
 * The variants of rumor mongering of Demers et al. 1987. A greater k costs more traffic and leaves a smaller residue.
 */
export interface DemersOptions {
  /** Who offers what is hot: the one that calls, the one that is called, or both. */
  readonly exchange: 'push' | 'pull' | 'push-pull'
  /** `feedback` cools by a contact that was no use, `blind` by every one. */
  readonly loss: 'feedback' | 'blind'
  /** Cold after k such contacts, or after each with probability 1/k. */
  readonly counting: 'counter' | 'coin'
  /** At least 1. */
  readonly k: number
}

/** How far a rumor has cooled in one replica. */
export interface RumorHeat {
  /** Contacts counted against it. */
  readonly cooled: number
}

const IGNITED: RumorHeat = { cooled: 0 }

export function ignited(): RumorHeat {
  return IGNITED
}

/**
 * What is left of a rumor's heat after one contact that carried it. The paper's table for feedback with counter comes
 * out only when a useful contact sets the counter back, and when `wasNews` is judged by the recipient's state at the
 * start of the cycle. When several pull in one cycle that is one contact, useful if it was to any of them.
 */
export function afterContact(
  heat: RumorHeat,
  wasNews: boolean,
  { loss, counting, k }: DemersOptions,
  random: Random,
): RumorHeat | 'cold' {
  const isSpent = loss === 'blind' || !wasNews
  if (counting === 'coin') return isSpent && random.next() * k < 1 ? 'cold' : heat
  if (!isSpent) return IGNITED
  return heat.cooled + 1 >= k ? 'cold' : { cooled: heat.cooled + 1 }
}
