import type { EtagText, EventOf, HistoryEvent } from '../history/history.ts'
import type { Contents } from './audit.ts'
import type { DurableVersions } from './durable-versions.ts'

export interface AcknowledgedWrite {
  readonly invoke: EventOf<'invoke'>
  readonly version: EtagText
  readonly acks: number
  /** Where {@link NodeLives.now} stood when it was asked for, and which cluster its coordinator was of. */
  readonly moment: number
  readonly cluster: string
}

/**
 * The writes that were acknowledged, and which of them have to be there at the audit: those of which a node that takes
 * part in the audit still had a durable copy. What only wiped, damaged or absent disks ever held may be gone, and a
 * write with `w` 1 may be on one disk alone.
 */
export class AcknowledgedWrites {
  readonly #durable: DurableVersions
  readonly #open = new Map<number, Pick<AcknowledgedWrite, 'invoke' | 'moment' | 'cluster'>>()
  readonly #applied: AcknowledgedWrite[] = []

  constructor(durable: DurableVersions) {
    this.#durable = durable
  }

  see(event: HistoryEvent): void {
    if (event.type === 'invoke' && event.action !== 'get') {
      const { lives } = this.#durable
      this.#open.set(event.op, { invoke: event, moment: lives.now, cluster: lives.cluster(event.node) })
    } else if (event.type === 'written') {
      const open = this.#open.get(event.op)
      this.#open.delete(event.op)
      if (open !== undefined && event.outcome === 'applied' && event.version !== undefined)
        this.#applied.push({ ...open, version: event.version, acks: event.acks ?? 1 })
    }
  }

  /** Per key of that cluster the greatest version that has to be there. */
  requiredOf(cluster: string, compared: readonly Contents[]): ReadonlyMap<string, AcknowledgedWrite> {
    const required = new Map<string, AcknowledgedWrite>()
    const nodes = compared.map(({ node }) => node)
    for (const write of this.#applied) {
      const { key } = write.invoke
      if (write.cluster !== '' && write.cluster !== cluster) continue
      const known = required.get(key)
      if (known !== undefined && known.version >= write.version) continue
      if (this.#isKept(write, nodes)) required.set(key, write)
    }
    return required
  }

  #isKept(write: AcknowledgedWrite, compared: readonly string[]): boolean {
    const { lives } = this.#durable
    const { invoke, version, moment, acks } = write
    const isSound = (node: string): boolean => compared.includes(node) && !lives.hasLostSince(node, moment)
    if (isSound(invoke.node)) return true
    if (compared.some((node) => (this.#durable.of(node, invoke.key)?.version ?? '') >= version)) return true
    // So many nodes said that they hold it; at least one of them is here unless all of them lost it or stay away.
    const unsound = [...lives.names].filter((node) => !isSound(node))
    return compared.length > 0 && unsound.length < acks
  }
}
