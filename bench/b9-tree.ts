// B9: what the hash tree costs a write: overwrites on many keys, then the root.
import { bytesOf, hexOf, leafOf, LEAVES, type Digest, type Hash } from '@grapevine/core'
import { addDigest, entryDigest, HashTree, subtractDigest } from '@grapevine/merkle'
import MerkleTools from 'merkle-tools'
import { hash as nodeHash } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { keyName } from './harness/requests.ts'
import { figure, numberText, print, ScenarioReport } from './harness/results.ts'
import { ratios, takeTurns } from './harness/rounds.ts'
import { readSettings } from './harness/settings.ts'

const OVERWRITES = 10_000
const HASH_BYTES = 32
/** What one commit takes in at most. */
const COMMIT_ENTRIES = 1_024
/** What a replica rehashes before it lets others have a turn. */
const LEAVES_PER_SLICE = 2_048

/** A node that has been up for a while has compiled this. */
const WARM_UPS = 10

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const settings = readSettings({ keys: 1_000_000 })
const { keys, rounds, quick } = settings
const overwrites = quick ? Math.min(OVERWRITES, keys) : OVERWRITES
const hash: Hash = { sha256: (bytes) => nodeHash('sha256', bytes, 'binary') }

interface TreeSample {
  /** Of the process, all threads. */
  readonly cpuUsPerWrite: number
  /** The longest that nothing else could have had a turn. */
  readonly stallMs: number
}

/**
 * All keys, and what each holds: the two hashes that an entry brings to its leaf. They lie outside of the heap, as a
 * node's lie on its disk: a million objects would slow down every garbage collection.
 */
class Entries {
  readonly tree = new HashTree(hash)
  readonly #keyHashes = Buffer.alloc(keys * HASH_BYTES)
  readonly #hashes = Buffer.alloc(keys * HASH_BYTES)

  constructor() {
    for (let key = 0; key < keys; key++) {
      writeHash(this.#keyHashes, key, hash.sha256(bytesOf(`bench\0${keyName(key)}`)))
      writeHash(this.#hashes, key, randomHash())
      this.#add(key, new Map())
    }
    this.tree.refresh()
  }

  /** Overwrites random keys, as commits do, then works out the root, as a replica does. */
  overwrite(): TreeSample {
    const chosen = Array.from({ length: overwrites }, () => Math.floor(Math.random() * keys))
    const hashes = chosen.map(randomHash)
    let stallMs = 0
    const turn = (run: () => void): void => {
      const startedMs = performance.now()
      run()
      stallMs = Math.max(stallMs, performance.now() - startedMs)
    }
    const cpu = process.cpuUsage()
    for (let at = 0; at < overwrites; at += COMMIT_ENTRIES)
      turn(() => this.#commit(chosen.slice(at, at + COMMIT_ENTRIES), hashes.slice(at, at + COMMIT_ENTRIES)))
    let isStale = true
    while (isStale) turn(() => (isStale = this.tree.refreshSome(LEAVES_PER_SLICE)))
    this.tree.root()
    const { user, system } = process.cpuUsage(cpu)
    return { cpuUsPerWrite: (user + system) / overwrites, stallMs }
  }

  /** The digests of all entries, which somebody without the sums would build a tree from. */
  digests(): Buffer[] {
    return Array.from({ length: keys }, (_, key) => Buffer.from(this.#digest(key), 'latin1'))
  }

  #commit(chosen: readonly number[], hashes: readonly Digest[]): void {
    const sums = new Map<number, Uint8Array>()
    for (const [index, key] of chosen.entries()) {
      subtractDigest(this.#sum(key, sums), this.#digest(key))
      writeHash(this.#hashes, key, hashes[index] ?? '')
      this.#add(key, sums)
    }
    for (const [leaf, sum] of sums) this.tree.setSum(leaf, sum)
  }

  #add(key: number, sums: Map<number, Uint8Array>): void {
    const sum = this.#sum(key, sums)
    addDigest(sum, this.#digest(key))
    if (sums.size === 1) this.tree.setSum(this.#leaf(key), sum)
  }

  #sum(key: number, sums: Map<number, Uint8Array>): Uint8Array {
    const leaf = this.#leaf(key)
    let sum = sums.get(leaf)
    if (sum === undefined) {
      sum = this.tree.sum(leaf).slice()
      sums.set(leaf, sum)
    }
    return sum
  }

  #leaf(key: number): number {
    return leafOf(hashAt(this.#keyHashes, key))
  }

  #digest(key: number): Digest {
    return entryDigest({ keyHash: hashAt(this.#keyHashes, key), hash: hashAt(this.#hashes, key) }, hash)
  }
}

function hashAt(hashes: Buffer, key: number): Digest {
  return hashes.toString('latin1', key * HASH_BYTES, (key + 1) * HASH_BYTES)
}

function writeHash(hashes: Buffer, key: number, digest: Digest): void {
  hashes.write(digest, key * HASH_BYTES, 'latin1')
}

function randomHash(): Digest {
  return hash.sha256(bytesOf(String(Math.random())))
}

function rootOf(leaves: readonly (string | Buffer)[]): string {
  const tree = new MerkleTools({ hashType: 'sha256' })
  tree.addLeaves(leaves)
  tree.makeTree()
  return tree.getMerkleRoot()?.toString('hex') ?? ''
}

const report = new ScenarioReport(
  {
    scenario: 'b9-tree',
    title: `${numberText(overwrites)} overwrites on ${numberText(keys)} keys, then the root`,
    method: [
      `Overwrites of random keys in commits of ${COMMIT_ENTRIES}: the old digest out of the leaf's sum, the new one in.`,
      `Then the stale leaves are rehashed in slices of ${LEAVES_PER_SLICE}, as a replica does it. CPU of all threads.`,
      'merkle-tools cannot change a leaf, so it builds the tree over all entries anew.',
    ],
  },
  settings,
)
print(`  making ${numberText(keys)} entries …\n`)
const entries = new Entries()
for (let warmUp = 0; warmUp < WARM_UPS; warmUp++) entries.overwrite()

/** The other one's garbage is no cost of this one. */
function alone(measure: () => TreeSample): () => Promise<TreeSample> {
  return () => {
    collectGarbage()
    return Promise.resolve(measure())
  }
}

/** The second time: the first one after a collection grows the heap again. */
function overwrite(): TreeSample {
  entries.overwrite()
  return entries.overwrite()
}

function rebuild(): TreeSample {
  const leaves = entries.digests()
  const startedMs = performance.now()
  const cpu = process.cpuUsage()
  rootOf(leaves)
  const { user, system } = process.cpuUsage(cpu)
  return { cpuUsPerWrite: (user + system) / overwrites, stallMs: performance.now() - startedMs }
}

const show = ({ cpuUsPerWrite, stallMs }: TreeSample): string =>
  `${numberText(cpuUsPerWrite)} µs CPU a write, longest turn ${numberText(stallMs)} ms`
const samples = await takeTurns(rounds, [
  { name: 'grapevine', measure: alone(overwrite), show },
  { name: 'merkle-tools', measure: alone(rebuild), show },
])
const leafHashes = Array.from({ length: LEAVES }, (_, leaf) => hexOf(entries.tree.leafHash(leaf)))
const isSameRoot = hexOf(entries.tree.root()) === rootOf(leafHashes)

const [ours = [], theirs = []] = ['grapevine', 'merkle-tools'].map((name) => samples.get(name))
const cpuOf = (taken: readonly TreeSample[]): number[] => taken.map(({ cpuUsPerWrite }) => cpuUsPerWrite)
const stallOf = (taken: readonly TreeSample[]): number[] => taken.map(({ stallMs }) => stallMs)
report.add(
  figure('grapevine', 'µs CPU/write', cpuOf(ours), { sense: 'at most', limit: 5 }),
  figure('grapevine, longest stall', 'ms', stallOf(ours), { sense: 'at most', limit: 10 }),
  figure('root equals that of merkle-tools over the same leaves', '(1 = yes)', [Number(isSameRoot)], {
    sense: 'at least',
    limit: 1,
  }),
  figure('merkle-tools, built anew', 'µs CPU/write', cpuOf(theirs)),
  figure('merkle-tools, stall', 'ms', stallOf(theirs)),
  figure('merkle-tools ÷ grapevine', '× CPU', ratios(cpuOf(theirs), cpuOf(ours))),
)
await report.finish()
