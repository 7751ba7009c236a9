import type { DemersRow, DetectorRunOptions, PaperRow, SpreadSummary } from '@grapevine/simulator/measures'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

export const GOSSIP = resolve(import.meta.dirname, '../../docs/gossip')
const FILE = join(GOSSIP, 'results.json')

/** The product in a quiet and in a busy cluster, and plain push beside it. */
export interface SpreadResult {
  readonly nodes: number
  readonly quiet: SpreadSummary
  readonly busy: SpreadSummary
  readonly push: SpreadSummary
}

export interface DemersResult {
  readonly runs: number
  readonly tables: readonly {
    readonly name: string
    readonly paper: readonly PaperRow[]
    readonly measured: readonly DemersRow[]
  }[]
  readonly product: { readonly nodes: number; readonly quiet: SpreadSummary; readonly busy: SpreadSummary }
}

export interface DetectorSummary {
  readonly falsePositives: number
  readonly falsePositivesOfHealthy: number
  /** Crashes, and those that not all healthy nodes had seen before the end of the run. */
  readonly crashes: number
  readonly unseen: number
  readonly firstSeenMs: { readonly p50: number; readonly p99: number }
  readonly allSeenMs: { readonly p50: number; readonly p99: number }
}

export interface DetectorResult {
  readonly scenario: Omit<DetectorRunOptions, 'seed' | 'lifeguard' | 'blockedMs'>
  readonly seeds: number
  readonly byBlockedMs: readonly {
    readonly blockedMs: number
    readonly swim: DetectorSummary
    readonly product: DetectorSummary
  }[]
  readonly swim: DetectorSummary
  readonly product: DetectorSummary
}

/** What docs/gossip.md tells. Each scenario writes its own part. */
export interface GossipResults {
  readonly 'b1-spread': SpreadResult
  readonly 'b2-demers': DemersResult
  readonly 'b3-million': SpreadResult
  readonly 'b4-loss': SpreadResult
  readonly 'b13-detector': DetectorResult
}

export async function loadGossip(): Promise<Partial<GossipResults>> {
  const text = await readFile(FILE, 'utf8').catch(() => '{}')
  return JSON.parse(text)
}

export async function saveGossip<Name extends keyof GossipResults>(
  name: Name,
  result: GossipResults[Name],
): Promise<void> {
  await mkdir(GOSSIP, { recursive: true })
  const results = { ...(await loadGossip()), [name]: result }
  await writeFile(FILE, `${JSON.stringify(results, rounded, 1)}\n`)
}

/** Five digits are more than any figure is worth, and the file stays one that can be read. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value
}
