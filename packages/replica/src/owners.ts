import {
  partitionOf,
  preferenceList,
  type Entry,
  type Hash,
  type Partition,
  type PlacementMember,
  type ReplicaId,
  type ReplicationFactor,
  type Roster,
} from '@grapevine/core'

export interface OwnersContext {
  readonly roster: () => Roster
  /** Members with what placement looks at. */
  readonly members: () => readonly PlacementMember[]
  readonly replicationFactor: ReplicationFactor
  readonly hash: Hash
}

/**
 * Who is meant to hold what, as placement decides it. Whoever spreads, counts or asks for entries asks here first:
 * nothing else assumes that every node has every key.
 */
export class Owners {
  readonly #context: OwnersContext
  readonly #lists = new Map<Partition, readonly ReplicaId[]>()
  #roster: Roster | undefined

  constructor(context: OwnersContext) {
    this.#context = context
  }

  /** The owners of a partition, best first. Worked out once for each roster, since it takes a hash a member. */
  of(partition: Partition): readonly ReplicaId[] {
    const { roster, members, replicationFactor, hash } = this.#context
    if (roster() !== this.#roster) {
      this.#roster = roster()
      this.#lists.clear()
    }
    let list = this.#lists.get(partition)
    if (list === undefined) {
      list = preferenceList(partition, members(), replicationFactor, hash)
      this.#lists.set(partition, list)
    }
    return list
  }

  ofEntry({ keyHash }: Pick<Entry, 'keyHash'>): readonly ReplicaId[] {
    return this.of(partitionOf(keyHash))
  }
}
