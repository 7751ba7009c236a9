import {
  clockFault,
  sharperSample,
  skewAt,
  skewSample,
  type Clock,
  type ClockFault,
  type Log,
  type MemberUpdate,
  type ReplicaId,
  type RunId,
  type Skew,
  type SkewSample,
} from '@grapevine/core'
import type { AskMember } from './ask-member.ts'
import type { Intake } from './intake.ts'

/** Longer than a clock can be asked in with an error that still says something. */
const TIMEOUT_MS = 2_000

export interface ClockWatchContext {
  readonly clock: Clock
  readonly log: Log
  readonly ask: AskMember
  readonly run: RunId
  /** Where this replica lives. */
  readonly address: string
  readonly intake: Pick<Intake, 'parkedFrom'>
  /** Other members that are alive, best first. */
  readonly live: () => readonly ReplicaId[]
  readonly member: (replica: ReplicaId) => MemberUpdate | undefined
  readonly driftMs: number
}

/** Knows how far the others' clocks are from ours, and whether ours is the one that is wrong. */
export class ClockWatch {
  readonly #context: ClockWatchContext
  readonly #samples = new Map<ReplicaId, SkewSample>()
  /** Members of whose clocks the log was told. */
  readonly #warned = new Set<ReplicaId>()
  #isSuspect = false

  constructor(context: ClockWatchContext) {
    this.#context = context
  }

  skewOf(replica: ReplicaId): Skew | undefined {
    const { clock } = this.#context
    const sample = this.#samples.get(replica)
    return sample && skewAt(sample, clock.wallMs(), clock.monotonicMs())
  }

  /** Judged anew at each look: clocks are set at any moment, and so they are right again at any. */
  get fault(): ClockFault | undefined {
    const { intake, live, driftMs } = this.#context
    const others = live()
    return clockFault({
      others: others.length,
      skews: others.map((replica) => this.skewOf(replica)).filter((skew) => skew !== undefined),
      parkedFrom: new Set(intake.parkedFrom().keys()),
      driftMs,
    })
  }

  /** Asks one member for its time. */
  async askTime(replica: ReplicaId): Promise<void> {
    const { ask, clock, run, address } = this.#context
    const sentMs = clock.monotonicMs()
    const { wallMs } = await ask(replica, 'time', { run, address }, TIMEOUT_MS)
    const sample = skewSample(sentMs, clock.monotonicMs(), wallMs)
    this.#samples.set(replica, sharperSample(this.#samples.get(replica), sample))
  }

  /** Says in the log what an operator has to know: whose clock is far off, and whether it is ours. */
  report(): void {
    const { live, log, driftMs, member } = this.#context
    const { fault } = this
    if (fault !== undefined && !this.#isSuspect)
      log.error('clock-suspect', { ...fault, byMs: Math.round(fault.byMs), advice: clockAdvice(fault) })
    if (fault === undefined && this.#isSuspect) log.info('clock-trusted-again')
    this.#isSuspect = fault !== undefined

    const others = new Set(live())
    for (const replica of this.#samples.keys()) if (member(replica) === undefined) this.#samples.delete(replica)
    for (const replica of this.#warned) if (!others.has(replica)) this.#warned.delete(replica)
    for (const replica of others) {
      const skew = this.skewOf(replica)
      if (skew === undefined) continue
      const { skewMs, errorMs } = skew
      const isFar = Math.abs(skewMs) - errorMs > driftMs / 2
      if (isFar && !this.#warned.has(replica)) {
        const far = { peer: member(replica)?.name ?? replica, skewMs: Math.round(skewMs), errorMs: Math.ceil(errorMs) }
        log.warn('clock-skew', { ...far, driftMs, advice: 'beyond driftMs entries are parked: look after NTP there' })
        this.#warned.add(replica)
      }
      if (!isFar) this.#warned.delete(replica)
    }
  }
}

/** What is wrong and what to do, for whoever asks why this node is not ready. */
export function clockAdvice({ kind, byMs, witnesses, others }: ClockFault): string {
  const distance = byMs === 0 ? 'too far' : `at least ${Math.round(byMs / 1_000)} s`
  return (
    `the clock of this node is ${distance} ${kind === 'behind' ? 'behind' : 'ahead of'} those of ${witnesses} of ` +
    `${others} other live members. Set it, best by NTP: the node then catches up by itself`
  )
}
