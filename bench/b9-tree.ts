// B9: what the hash tree costs a write: overwrites on many keys, then the root.
import { bytesOf, hexOf, leafOf, LEAVES, type Digest, type Hash } from '@grapevine/core'
import { addDigest, entryDigest, HashTree, subtractDigest } from '@grapevine/merkle'
import MerkleTools from 'merkle-tools'
import { hash as nodeHash } from 'node:crypto'
import { keyName } from './harness/requests.ts'
import { figure, numberText, print, ScenarioReport } from './harness/results.ts'
import { ratios, takeTurns } from './harness/rounds.ts'
import { readSettings } from './harness/settings.ts'

const OVERWRITES = 10_000
/** What one commit takes in at most. */
const COMMIT_ENTRIES = 1_024
/** What a replica rehashes before it lets others have a turn. */
const LEAVES_PER_SLICE = 2_048

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

/** All keys, and what each holds: the two hashes that an entry brings to its leaf. */
class Entries {
  readonly tree = new HashTree(hash)
  readonly #keyHashes: Digest[] = []
  readonly #hashes: Digest[] = []

  constructor() {
    for (let key = 0; key < keys; key++) {
      this.#keyHashes.push(hash.sha256(bytesOf(`bench\0${keyName(key)}`)))
      this.#hashes.push(randomHash())
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
    return this.#keyHashes.map((_, key) => Buffer.from(this.#digest(key), 'latin1'))
  }

  #commit(chosen: readonly number[], hashes: readonly Digest[]): void {
    const sums = new Map<number, Uint8Array>()
    for (const [index, key] of chosen.entries()) {
      subtractDigest(this.#sum(key, sums), this.#digest(key))
      this.#hashes[key] = hashes[index] ?? ''
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
    return leafOf(this.#keyHashes[key] ?? '')
  }

  #digest(key: number): Digest {
    return entryDigest({ keyHash: this.#keyHashes[key] ?? '', hash: this.#hashes[key] ?? '' }, hash)
  }
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
  { name: 'grapevine', measure: async () => entries.overwrite(), show },
  { name: 'merkle-tools', measure: async () => rebuild(), show },
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
