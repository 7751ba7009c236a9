/** Eight, as in Lifeguard §IV-A: probes nine times slower are as slow as is still useful. */
export const LOCAL_HEALTH_MAX = 8

export type HealthSign =
  | 'probe-answered'
  /** Nobody to ask, so nothing that could be missed: an old bad score must not outlive its cause. */
  | 'nobody-to-probe'
  /** A member that seemed well was silent, and there was nobody to ask about it. */
  | 'probe-missed'
  /** Somebody whom we asked to probe for us did not even say that it reached nobody. */
  | 'nack-missed'
  /** We had to deny a suspicion: somebody waited for us. */
  | 'refuted'
  /** Our own timer ran late: the event loop, the processor or the whole machine was busy. */
  | 'late-tick'

const DELTAS: Readonly<Record<HealthSign, number>> = {
  'probe-answered': -1,
  'nobody-to-probe': -1,
  'probe-missed': 1,
  'nack-missed': 1,
  refuted: 1,
  'late-tick': 1,
}

/**
 * Lifeguard's local health multiplier (Dadgar et al. 2018, §IV-A): the worse we do ourselves, the more time we
 * give others before we believe that the silence is theirs. 0 is well.
 */
export class LocalHealth {
  readonly #scoreMax: number
  #score = 0

  /** @param scoreMax 0 where local health is to play no part. */
  constructor(scoreMax: number = LOCAL_HEALTH_MAX) {
    this.#scoreMax = scoreMax
  }

  get score(): number {
    return this.#score
  }

  /** What probe intervals and their time-outs are multiplied by. */
  get multiplier(): number {
    return this.#score + 1
  }

  note(sign: HealthSign): void {
    this.#score = Math.min(Math.max(this.#score + DELTAS[sign], 0), this.#scoreMax)
  }
}
