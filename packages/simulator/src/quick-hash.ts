import type { Hash } from '@grapevine/core'
import { hash as nodeHash } from 'node:crypto'

const LEAF_INPUT_BYTES = 33
const INNER_INPUT_BYTES = 64
const TREE_DEPTH = 16

interface Known {
  readonly input: Uint8Array
  readonly digest: string
}

/**
 * SHA-256, with the answers for the empty parts of a hash tree at hand. Each start of a node hashes all 65,536 leaves,
 * and in a simulated cluster nearly all of them are empty: half of a run's time went there.
 */
export const quickHash: Hash = {
  sha256(bytes: Uint8Array): string {
    if (bytes.length === INNER_INPUT_BYTES) {
      const known = EMPTY_INNER.get(tagOf(bytes))
      if (known !== undefined && areEqual(bytes, known.input)) return known.digest
    } else if (bytes.length === LEAF_INPUT_BYTES && areEqual(bytes, EMPTY_LEAF.input)) return EMPTY_LEAF.digest
    return nodeHash('sha256', bytes, 'binary')
  },
}

const EMPTY_LEAF: Known = knownOf(new Uint8Array(LEAF_INPUT_BYTES))
const EMPTY_INNER: ReadonlyMap<number, Known> = emptyInner()

function emptyInner(): Map<number, Known> {
  const known = new Map<number, Known>()
  let { digest } = EMPTY_LEAF
  for (let depth = TREE_DEPTH; depth > 0; depth--) {
    const inner = knownOf(Buffer.from(digest + digest, 'latin1'))
    known.set(tagOf(inner.input), inner)
    ;({ digest } = inner)
  }
  return known
}

function knownOf(input: Uint8Array): Known {
  return { input, digest: nodeHash('sha256', input, 'binary') }
}

/** Enough of an input to tell that it is none of the known ones. */
function tagOf(bytes: Uint8Array): number {
  return ((bytes[0] ?? 0) << 16) | ((bytes[31] ?? 0) << 8) | (bytes[63] ?? 0)
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  for (let index = 0; index < b.length; index++) if (a[index] !== b[index]) return false
  return true
}
