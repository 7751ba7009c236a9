import { RefusalError, UnreachableError, type Log, type Partition, type ReplicaId } from '@grapevine/core'
import { BY_HASH, pullPartitions, type PullContext } from './pull-round.ts'

interface Line {
  running: Promise<boolean> | undefined
  next: Pull | undefined
}

/** What is to be asked for as soon as the pull under way has ended. */
interface Pull {
  readonly partitions: Set<Partition>
  readonly pulled: Promise<boolean>
}

/** One pull at a time from each member: what many wait for meanwhile is asked for together. */
export class SharedPulls {
  readonly #lines = new Map<ReplicaId, Line>()
  readonly #log: Log

  constructor(log: Log) {
    this.#log = log
  }

  /**
   * Takes over what a member has of some partitions. Whether it was all of it: then our vectors contain that member's, as
   * they were at some moment after the call. Never rejects.
   */
  from(replica: ReplicaId, partitions: readonly Partition[], context: PullContext): Promise<boolean> {
    let line = this.#lines.get(replica)
    if (line === undefined) this.#lines.set(replica, (line = { running: undefined, next: undefined }))
    if (line.running === undefined) return this.#start(replica, line, partitions, context)
    const next = (line.next ??= this.#following(replica, line, line.running, context))
    for (const partition of partitions) next.partitions.add(partition)
    return next.pulled
  }

  #following(replica: ReplicaId, line: Line, running: Promise<boolean>, context: PullContext): Pull {
    const partitions = new Set<Partition>()
    const pulled = running.then(() => {
      line.next = undefined
      return this.#start(replica, line, [...partitions], context)
    })
    return { partitions, pulled }
  }

  #start(replica: ReplicaId, line: Line, partitions: readonly Partition[], context: PullContext): Promise<boolean> {
    line.running = this.#pull(replica, partitions, context).finally(() => {
      line.running = undefined
      if (line.next === undefined) this.#lines.delete(replica)
    })
    return line.running
  }

  async #pull(replica: ReplicaId, partitions: readonly Partition[], context: PullContext): Promise<boolean> {
    try {
      const { unclaimed } = await pullPartitions(replica, partitions, BY_HASH, context)
      return unclaimed.length === 0
    } catch (error) {
      // Vectors can be compared once both know what is folded.
      if (error instanceof RefusalError && error.code === 'folded-otherwise')
        await context.publishTo(replica).catch(() => {})
      else if (!(error instanceof UnreachableError || error instanceof RefusalError))
        this.#log.warn('session-pull-failed', { from: replica, error: String(error) })
      return false
    }
  }
}
