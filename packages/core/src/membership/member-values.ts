import type { ReplicaId } from '../version/version.ts'

/** One small value that a member tells of itself: its role, its load, the version of its configuration. */
export interface MemberValue {
  readonly owner: ReplicaId
  readonly name: string
  /** Raised by the owner alone; of two statements the later holds. Milliseconds since 1970, or one more than the last. */
  readonly revision: number
  readonly contentType: string
  readonly value: Uint8Array
}

/** Of each member: 16 KiB in all, so that those of 256 members fit into 4 MiB. */
export const MEMBER_VALUES_MAX = 16
export const MEMBER_VALUE_BYTES_MAX = 1_024
/** Values in one message: 300 KiB of them. */
export const MEMBER_VALUES_PER_MESSAGE_MAX = 256
/** No revision above this is taken in: it is a bug's, and its owner could hardly outbid it. */
export const REVISION_MAX: number = 2 ** 48 - 1

/** Names as those of buckets. */
export function isMemberValueName(text: string): boolean {
  return /^[a-z0-9][a-z0-9._-]{0,62}$/.test(text)
}

/**
 * What each member tells of itself, as one replica knows it. It is kept in memory alone: after a restart the owner hears from
 * the others what it had said, and goes on from there.
 */
export class MemberValues {
  readonly #values = new Map<ReplicaId, Map<string, MemberValue>>()
  /** Names that this run has set: of these our word holds, whatever a former life of ours has said. */
  readonly #own = new Set<string>()
  readonly #self: ReplicaId

  constructor(self: ReplicaId) {
    this.#self = self
  }

  get isEmpty(): boolean {
    return this.#values.size === 0
  }

  get(owner: ReplicaId, name: string): MemberValue | undefined {
    return this.#values.get(owner)?.get(name)
  }

  /** By name. */
  of(owner: ReplicaId): readonly MemberValue[] {
    return [...(this.#values.get(owner)?.values() ?? [])].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** By owner, then by name: equal knowledge has equal order. */
  all(): readonly MemberValue[] {
    return [...this.#values.keys()].toSorted().flatMap((owner) => this.of(owner))
  }

  /** Sets one of our own. `undefined` when there are too many already. */
  set(name: string, value: Uint8Array, contentType: string, wallMs: number): MemberValue | undefined {
    const held = this.get(this.#self, name)
    if (held === undefined && this.of(this.#self).length >= MEMBER_VALUES_MAX) return undefined
    this.#own.add(name)
    const revision = Math.max(Math.floor(wallMs), (held?.revision ?? 0) + 1)
    return this.#put({ owner: this.#self, name, revision, contentType, value })
  }

  /**
   * Takes in what somebody says. `undefined` when it is no news. What a former run of ours has said later than we have is
   * said again by us, as a later statement: that has to be told to the others.
   */
  take(said: MemberValue): MemberValue | undefined {
    const { owner, name, revision } = said
    const held = this.get(owner, name)
    if (revision > REVISION_MAX || (held !== undefined && held.revision >= revision)) return undefined
    if (held === undefined && this.of(owner).length >= MEMBER_VALUES_MAX) return undefined
    if (owner !== this.#self || held === undefined || !this.#own.has(name)) return this.#put(said)
    return this.#put({ ...held, revision: revision + 1 })
  }

  forget(owner: ReplicaId): void {
    this.#values.delete(owner)
  }

  owners(): readonly ReplicaId[] {
    return [...this.#values.keys()]
  }

  #put(value: MemberValue): MemberValue {
    const named = this.#values.get(value.owner) ?? new Map<string, MemberValue>()
    this.#values.set(value.owner, named.set(value.name, value))
    return value
  }
}

/** Equal knowledge has equal text. */
export function memberValuesText(values: readonly MemberValue[]): string {
  return values.map(({ owner, name, revision }) => `${owner}/${name}=${revision}`).join(';')
}
