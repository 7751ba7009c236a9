import { decodePolicy, NO_POLICY, policyAddress, type Address, type BucketPolicy, type Held } from '@grapevine/core'

/** Policies kept in memory: every write asks for one. Beyond so many buckets the disk is asked again. */
const KNOWN_MAX = 4_096

export interface PoliciesContext {
  readonly read: (address: Address) => Held
  /** See `Committer.policyEpoch`. */
  readonly epoch: () => number
}

/** The policies of the buckets as this replica holds them now. */
export class BucketPolicies {
  readonly #context: PoliciesContext
  readonly #known = new Map<string, BucketPolicy>()
  #epoch = 0

  constructor(context: PoliciesContext) {
    this.#context = context
  }

  of(bucket: string): BucketPolicy {
    const epoch = this.#context.epoch()
    if (epoch !== this.#epoch || this.#known.size >= KNOWN_MAX) this.#known.clear()
    this.#epoch = epoch
    const known = this.#known.get(bucket)
    if (known !== undefined) return known
    const held = this.#context.read(policyAddress(bucket))
    // What cannot be read may be there again in a moment, so it is not remembered.
    if (held === 'corrupt') return NO_POLICY
    const policy = decodePolicy(held?.value)
    this.#known.set(bucket, policy)
    return policy
  }
}
